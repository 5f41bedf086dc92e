"""ASGI's mechanics: a body read within bounds, an answer written whole or as it comes, a client that hangs up.

No MCP here, and nothing is decided.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from sidecar.downstream.guard import RequestRefused, too_large
from sidecar.ports import let_go

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Pairs = list[tuple[bytes, bytes]]

_BODY_S = 15.0
_PATIENCE_S = 0.05


class Bodies:
    """Reads bodies, each whole within one to two times `span_s`.

    One timer serves all, since one for each would cost several times what reading a small body does.
    """

    def __init__(self, limit_bytes: int, *, span_s: float = _BODY_S) -> None:
        self._limit_bytes = limit_bytes
        self._span_s = span_s
        self._timer: asyncio.TimerHandle | None = None
        self._new: set[asyncio.Task[Any]] = set()
        self._old: set[asyncio.Task[Any]] = set()
        self._late: set[asyncio.Task[Any]] = set()

    async def read(self, receive: Receive) -> bytes:
        """The whole body. Raises: RequestRefused (413 too large, 408 too slow, 400 cut off)."""
        task = asyncio.current_task()
        assert task is not None
        self._new.add(task)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._span_s, self._sweep)
        try:
            return await _whole(receive, self._limit_bytes)
        except asyncio.CancelledError as error:
            if task not in self._late or task.uncancel():
                raise
            raise RequestRefused(408, "The body took too long to arrive.") from error
        finally:
            for known in (self._new, self._old, self._late):
                known.discard(task)

    def _sweep(self) -> None:
        for task in self._old:
            self._late.add(task)
            task.cancel()
        self._old, self._new = self._new, set()
        self._timer = asyncio.get_running_loop().call_later(self._span_s, self._sweep) if self._old else None


async def _whole(receive: Receive, limit_bytes: int) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        event = await receive()
        if event["type"] != "http.request":
            raise RequestRefused(400, "The client hung up before the body was whole.")
        part = event.get("body", b"")
        size += len(part)
        if size > limit_bytes:
            raise too_large(limit_bytes)
        parts.append(part)
        more = event.get("more_body", False)
    return b"".join(parts)


async def write(send: Send, status: int, headers: Pairs, body: bytes) -> None:
    """Sends a whole answer."""
    kept = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": kept})
    await send({"type": "http.response.body", "body": body})


async def stream(send: Send, status: int, headers: Pairs, chunks: AsyncGenerator[bytes, None]) -> None:
    """Sends an answer as it comes, each part at once."""
    try:
        await send({"type": "http.response.start", "status": status, "headers": headers})
    except BaseException:
        await let_go(chunks)
        raise
    async with aclosing(chunks) as parts:
        async for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class Hangups:
    """Cancels the work for clients that hang up (G24).

    Looking for a hang-up costs a task, so only work that outlasts one to two times `patience_s` is watched; one timer
    serves all.
    """

    def __init__(self, *, patience_s: float = _PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._timer: asyncio.TimerHandle | None = None
        self._new: dict[asyncio.Task[Any], Receive] = {}
        self._old: dict[asyncio.Task[Any], Receive] = {}
        self._watchers: dict[asyncio.Task[Any], asyncio.Task[None]] = {}
        self._gone: set[asyncio.Task[Any]] = set()

    async def answer(self, answering: Awaitable[None], receive: Receive) -> None:
        """Awaits the answering, unless the client hangs up first."""
        work = asyncio.current_task()
        assert work is not None
        self._new[work] = receive
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._patience_s, self._sweep)
        try:
            await answering
        except asyncio.CancelledError:
            if work not in self._gone:
                raise
        finally:
            if self._new.pop(work, None) is None and self._old.pop(work, None) is None:
                self._watchers.pop(work).cancel()
                self._gone.discard(work)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for work, receive in self._old.items():
            self._watchers[work] = loop.create_task(self._watch(work, receive))
        self._old, self._new = self._new, {}
        self._timer = loop.call_later(self._patience_s, self._sweep) if self._old else None

    async def _watch(self, work: "asyncio.Task[Any]", receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            continue
        self._gone.add(work)
        work.cancel()
