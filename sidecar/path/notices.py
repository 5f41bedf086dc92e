"""Tells clients that listen when new policies change which tools they see. What a client sees is asked of OPA.

Imports core, judgement, ports and errors; no adapter. Source: mcp-gateway.md G28.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from sidecar.core import splice
from sidecar.core.inventory import Inventory
from sidecar.core.messages import PassThrough
from sidecar.errors import DecisionError
from sidecar.path.judgement import Caller
from sidecar.ports import DecisionPoint, Event, Grant, Reply

_LISTEN = "subscriptions/listen"
_METHOD = "notifications/tools/list_changed"
_ACKNOWLEDGED = b"notifications/subscriptions/acknowledged"
_SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"

_Part = TypeVar("_Part", Event, bytes)


class Notices:
    """The streams of one server's clients on which a notice may be given."""

    def __init__(self, decisions: DecisionPoint, inventory: Inventory) -> None:
        self._decisions = decisions
        self._inventory = inventory
        self._open: set[_Listener] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def about(self, request: PassThrough, reply: Reply, caller: Caller) -> Reply:
        """The reply to a request, with our notices if it is a subscription."""
        if request.method == "initialize":
            return self._initialized(reply)
        return self._subscription(reply, caller, request.id_raw) if request.method == _LISTEN else reply

    def _initialized(self, reply: Reply) -> Reply:
        """The answer to `initialize` says whether the server may give such notices at all."""
        if reply.body is not None:
            self._inventory.learn_abilities(reply.body)
        return reply if reply.events is None else replace(reply, events=self._learning(reply.events))

    def news(self, reply: Reply, caller: Caller) -> Reply:
        """The legacy stream of what belongs to no request, with our notices between its events."""
        notice = msgspec.json.encode({"jsonrpc": "2.0", "method": _METHOD})
        return self._with_notices(reply, _Listener(caller, notice, lambda: self._inventory.announces_changes))

    def _subscription(self, reply: Reply, caller: Caller, id_raw: bytes) -> Reply:
        """The modern stream of a subscription, with our notices once the server has granted them."""
        meta = {_SUBSCRIPTION: msgspec.Raw(id_raw)}
        notice = msgspec.json.encode({"jsonrpc": "2.0", "method": _METHOD, "params": {"_meta": meta}})
        return self._with_notices(reply, _Listener(caller, notice))

    def reloaded(self) -> None:
        """New policies are in force."""
        if self._open:
            self._begin(self._compare())

    async def close(self) -> None:
        """Compares no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _learning(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        async with aclosing(events) as incoming:
            async for event in incoming:
                self._inventory.learn_abilities(event.data)
                yield event

    def _with_notices(self, reply: Reply, listener: "_Listener") -> Reply:
        if reply.status != 200:
            return reply
        if reply.events is not None:
            events = self._between(reply.events, listener, Event(listener.notice), lambda event: event.data)
            return replace(reply, events=events, lasting=True)
        if reply.chunks is not None:
            lines = self._between(reply.chunks, listener, listener.notice + b"\n", lambda line: line)
            return replace(reply, chunks=lines, lasting=True)
        return reply

    async def _between(
        self, stream: AsyncGenerator[_Part, None], listener: "_Listener", notice: _Part, data: Callable[[_Part], bytes]
    ) -> AsyncGenerator[_Part, None]:
        """The stream's parts, each a whole message, and the notice where it is to be given."""
        async with aclosing(stream) as incoming:
            reading = asyncio.ensure_future(anext(incoming))
            self._open.add(listener)
            self._begin(self._look(listener))
            try:
                while True:
                    if listener.take():
                        yield notice
                    await listener.wait(reading)
                    if reading.done():
                        try:
                            part = reading.result()
                        except StopAsyncIteration:
                            return
                        listener.heard(data(part))
                        reading = asyncio.ensure_future(anext(incoming))
                        yield part
            finally:
                self._open.discard(listener)
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _look(self, listener: "_Listener") -> None:
        seen = await self._visible(listener.caller)
        if not listener.is_compared:
            listener.seen = seen

    async def _compare(self) -> None:
        found: dict[Grant, frozenset[str] | None] = {}
        for listener in tuple(self._open):
            listener.is_compared = True
            grant = listener.caller.grant
            if grant not in found:
                found[grant] = await self._visible(listener.caller)
            if listener.seen is None or listener.seen != found[grant]:
                listener.tell()
            listener.seen = found[grant]

    async def _visible(self, caller: Caller) -> frozenset[str] | None:
        """What the caller sees of all tools that are known; None where that cannot be said."""
        try:
            return frozenset((await self._decisions.visible(caller.asker.visible(self._inventory.names))).names)
        except DecisionError:
            return None

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Listener:
    """One stream: whose it is, what was seen when it was last looked, and whether a notice is to be given on it."""

    def __init__(self, caller: Caller, notice: bytes, may: Callable[[], bool] | None = None) -> None:
        self.caller = caller
        self.seen: frozenset[str] | None = None
        self.is_compared = False
        self.notice = notice
        self._is_subscribed = False
        self._may = may or (lambda: self._is_subscribed)
        self._is_told = False
        self._waiting: asyncio.Future[None] | None = None

    def tell(self) -> None:
        """Has the notice given."""
        self._is_told = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def take(self) -> bool:
        """Whether the notice is to be given now; then it is."""
        if not self._is_told or not self._may():
            return False
        self._is_told = False
        return True

    async def wait(self, reading: "asyncio.Future[Any]") -> None:
        """Waits for the server's next event, or for a notice to give."""
        if self._is_told:
            await asyncio.wait((reading,))
            return
        self._waiting = asyncio.get_running_loop().create_future()
        await asyncio.wait((reading, self._waiting), return_when=asyncio.FIRST_COMPLETED)

    def heard(self, data: bytes) -> None:
        """Takes in what the server says: its acknowledgement says whether a subscription is to tools."""
        if _ACKNOWLEDGED in data:
            granted = splice.get(data, "params", "notifications", "toolsListChanged")
            self._is_subscribed = self._is_subscribed or granted == b"true"
