"""Asks OPA: one question at a time on a lane, and the calls that wait meanwhile share the next (natural batching).

Nothing waits when nothing is in flight. Each call is decided on its own input; an answer whose length or shape is off
decides none of them. Source: opa.md section 4.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterable
from typing import TypeAlias

import msgspec

from sidecar.core.decision import Decision, parse, parse_many
from sidecar.errors import DecisionOffShape, DecisionUndefined, OpaUnreachable, TimedOut, UpstreamError
from sidecar.http1 import Client, Headless, Origin
from sidecar.ports import Visible

_BATCH_CALLS = 64
_BATCH_BYTES = 64 * 1024
_ANSWER_BYTES = 16 * 1024 * 1024
_QUESTION = (
    b"POST /v1/data/%b?strict-builtin-errors=true HTTP/1.1\r\n%b"
    b'Content-Type: application/json\r\nContent-Length: %d\r\n\r\n{"input":%b}'
)
_AROUND_BYTES = len(b'{"input":}')

_Asking: TypeAlias = tuple[bytes, "asyncio.Future[Decision]"]


class _VisibleResult(msgspec.Struct, forbid_unknown_fields=True):
    revision: str
    names: list[str]


class _VisibleAnswer(msgspec.Struct):
    result: _VisibleResult | None = None


_decode_visible = msgspec.json.Decoder(_VisibleAnswer).decode


class OpaClient:
    """The decision point: OPA on a unix socket (or host and port), with a bounded wait for each answer."""

    def __init__(self, origin: Origin, *, timeout_s: float = 2.0, host: str = "opa", authorization: str = "") -> None:
        bearer = f"Authorization: {authorization}\r\n" if authorization else ""
        self._head = f"Host: {host}\r\n{bearer}".encode("latin-1")
        self._http = Client(origin, connect_timeout_s=timeout_s, idle_s=30.0, made_of=Headless)
        self._timeout_s = timeout_s
        self._small = _Lane(self)
        self._large = _Lane(self)

    def decide(self, query: bytes) -> Awaitable[Decision]:
        """The decision on one query. Raises: OpaUnreachable, DecisionUndefined, DecisionOffShape."""
        return (self._small if len(query) <= _BATCH_BYTES else self._large).put(query)

    async def visible(self, query: bytes) -> Visible:
        """The visible names of one list query. Raises: OpaUnreachable, DecisionUndefined, DecisionOffShape."""
        body = await self.ask("mcp/gate/visible", query)
        try:
            result = _decode_visible(body).result
        except (msgspec.MsgspecError, ValueError) as error:
            raise DecisionOffShape("OPA's answer is not a list of visible tools.") from error
        if result is None:
            raise DecisionUndefined("OPA does not hold this grant's policy.")
        return Visible(result.names, result.revision)

    async def ask(self, path: str, query: bytes) -> bytes:
        """OPA's answer body for `POST /v1/data/<path>` with this input. Raises: OpaUnreachable, DecisionOffShape."""
        data = _QUESTION % (path.encode(), self._head, len(query) + _AROUND_BYTES, query)
        try:
            response = await self._http.request(data, timeout_s=self._timeout_s, retry_stale=True)
            answer = response.body
            if answer is None:
                answer = await response.read(_ANSWER_BYTES, self._timeout_s)
        except TimedOut as error:
            raise OpaUnreachable(f"OPA did not answer within {self._timeout_s:g} s.") from error
        except UpstreamError as error:
            raise OpaUnreachable(f"OPA cannot be reached: {error}") from error
        if response.status != 200:
            raise DecisionOffShape(f"OPA answered with status {response.status}.")
        return answer

    async def decide_together(self, queries: list[bytes]) -> list[Decision | Exception]:
        """One outcome per query, in order. One bad call spoils a batch for OPA, so then each is asked alone."""
        if len(queries) > 1:
            try:
                body = await self.ask("mcp/gate/decisions", b'{"calls":[%b]}' % b",".join(queries))
                return list(parse_many(body, len(queries)))
            except OpaUnreachable as error:
                return [error] * len(queries)
            except (DecisionOffShape, DecisionUndefined):
                pass
        return [await self._outcome(query) for query in queries]

    async def _outcome(self, query: bytes) -> Decision | Exception:
        try:
            return parse(await self.ask("mcp/gate/decision", query))
        except (OpaUnreachable, DecisionOffShape, DecisionUndefined) as error:
            return error

    async def close(self) -> None:
        """Ends the lanes; whoever still waits is told that OPA is unreachable."""
        await self._small.close()
        await self._large.close()
        self._http.close()


class _Lane:
    """Questions in the order they came, at most one batch of them at OPA.

    Who finds the lane free asks for itself, which saves a turn of the loop; who comes meanwhile is asked for.
    """

    def __init__(self, client: OpaClient) -> None:
        self._client = client
        self._waiting: deque[_Asking] = deque()
        self._is_taken = False
        self._worker: asyncio.Task[None] | None = None

    async def put(self, query: bytes) -> Decision:
        if self._is_taken:
            future: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
            self._waiting.append((query, future))
            return await future
        self._is_taken = True
        try:
            return parse(await self._client.ask("mcp/gate/decision", query))
        finally:
            self._is_taken = bool(self._waiting)
            if self._waiting:
                self._worker = asyncio.create_task(self._work())

    async def close(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._turn_away(self._waiting)

    async def _work(self) -> None:
        """Asks until nobody waits, and leaves the lane free."""
        batch: list[_Asking] = []
        try:
            while batch := self._next():
                answers = await self._client.decide_together([query for query, _ in batch])
                for (_, future), answer in zip(batch, answers, strict=True):
                    _settle(future, answer)
        finally:
            self._is_taken = False
            self._turn_away(batch)
            self._turn_away(self._waiting)

    def _turn_away(self, waiting: Iterable[_Asking]) -> None:
        """Tells those who still wait that nobody asks for them any more."""
        for _, future in waiting:
            _settle(future, OpaUnreachable("OPA was not asked."))

    def _next(self) -> list[_Asking]:
        batch: list[_Asking] = []
        size = 0
        while self._waiting and len(batch) < _BATCH_CALLS and (not batch or size < _BATCH_BYTES):
            query, future = self._waiting.popleft()
            if not future.done():
                batch.append((query, future))
                size += len(query)
        return batch


def _settle(future: "asyncio.Future[Decision]", answer: Decision | Exception) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
