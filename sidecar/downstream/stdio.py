"""One client on standard input and output: lines in, lines out. Which line may pass is not decided here.

Source: mcp-gateway.md G24, G46; MCP 2025-11-25 and 2026-07-28, transports, stdio.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

import msgspec

from sidecar.core import denial, splice
from sidecar.core.lines import LineSplitter, Overlong, one_line
from sidecar.downstream.standard import LineWriter, read_chunks
from sidecar.downstream.turns import Turn, Turns
from sidecar.errors import Broken, SidecarError
from sidecar.ports import Reply

MAX_LINE_BYTES = 4 * 1024 * 1024
MAX_UNDER_WAY = 1024
_ANSWER_BYTES = 16 * 1024 * 1024
_FLUSH_S = 2.0
_VERSION = "io.modelcontextprotocol/protocolVersion"
_SESSION = b"mcp-session-id"
_CANCELLED = "notifications/cancelled"
_ENDLESS = "subscriptions/listen"

Id = int | str


class Peer(Protocol):
    """Who answers the client's lines. `session` is the upstream's session id once there is one."""

    async def handle(self, line: bytes, session: str | None) -> Reply:
        """The answer to one line. Raises: SidecarError."""
        ...

    async def listen(self, session: str | None) -> Reply:
        """The stream of what the server says on its own. Raises: SidecarError."""
        ...


class _Head(msgspec.Struct, gc=False):
    id: Id | None = None
    method: str | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode = msgspec.json.Decoder(_Head).decode


class _Work:
    """One line under way. One without `id` is owed no answer, and one that `is_silent` may not even have an error."""

    __slots__ = ("id", "is_silent", "line", "method", "task", "turn")

    def __init__(self, line: bytes, head: _Head, turn: Turn) -> None:
        is_answer = head.method is None and (head.result is not msgspec.UNSET or head.error is not msgspec.UNSET)
        self.line = line
        self.id = None if is_answer else head.id
        self.is_silent = is_answer or (head.method is not None and head.id is None)
        self.method = head.method
        self.turn = turn
        self.task: asyncio.Task[None]

    @property
    def is_modern(self) -> bool:
        """Whether it names its revision itself, as only the modern era does."""
        return splice.get(self.line, "params", "_meta", _VERSION) is not None


async def serve(
    peer: Peer,
    read_fd: int,
    write_fd: int,
    *,
    max_line_bytes: int = MAX_LINE_BYTES,
    drain_s: float = 10.0,
) -> None:
    """Serves the client until its end of the input; then answers what is under way, for `drain_s` at most.

    Raises: Broken (the server has ended the session, so a client must start the gateway again).
    """
    writer = LineWriter(write_fd)
    await writer.open()
    service = _Service(peer, writer, max_line_bytes)
    reading = asyncio.ensure_future(service.read(read_fd))
    ends = [reading, *(asyncio.ensure_future(event.wait()) for event in (writer.lost, service.over))]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            reading.result()
            await service.drain(drain_s)
    finally:
        for task in ends:
            task.cancel()
        await asyncio.gather(*ends, return_exceptions=True)
        await service.stop()
        await writer.close(_FLUSH_S)
    if service.over.is_set():
        raise Broken("The MCP server has ended the session.", hint="Start the gateway again.")


class _Service:
    """The lines under way between one client and its peer."""

    def __init__(self, peer: Peer, writer: LineWriter, max_line_bytes: int) -> None:
        self._peer = peer
        self._writer = writer
        self._max_line_bytes = max_line_bytes
        self._turns = Turns()
        self._session: str | None = None
        self._under_way: dict[asyncio.Task[None], _Work] = {}
        self._requests: dict[Id, _Work] = {}
        self._room = asyncio.Event()
        self._room.set()
        self._listening: asyncio.Task[None] | None = None
        self.over = asyncio.Event()

    async def read(self, fd: int) -> None:
        """Takes lines in until the end of the input."""
        splitter = LineSplitter(self._max_line_bytes)
        async with aclosing(read_chunks(fd)) as chunks:
            async for chunk in chunks:
                await self._take_in(splitter.feed(chunk))
        await self._take_in(splitter.end())

    async def drain(self, timeout_s: float) -> None:
        """Waits for the answers that will come by themselves."""
        finite = [task for task, work in self._under_way.items() if work.method != _ENDLESS]
        if finite:
            await asyncio.wait(finite, timeout=timeout_s)

    async def stop(self) -> None:
        """Gives up what is still under way."""
        tasks = [*self._under_way, *(() if self._listening is None else (self._listening,))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take_in(self, lines: list[bytes | Overlong]) -> None:
        for line in lines:
            await self._room.wait()
            if isinstance(line, Overlong):
                text = f"The message is longer than {self._max_line_bytes} bytes."
                await self._write(denial.error(b"null", -32600, text))
            elif (begun := self._accept(line)) is not None and begun.method == "initialize":
                await asyncio.wait([begun.task])  # what follows belongs to the session that its answer opens

    def _accept(self, line: bytes) -> _Work | None:
        head = _head(line) or _Head()
        if head.method == _CANCELLED and self._cancel(line):
            return None
        is_request = head.method is not None and head.id is not None
        work = _Work(line, head, self._turns.take(shared=is_request))
        work.task = asyncio.get_running_loop().create_task(self._run(work))
        self._under_way[work.task] = work
        if work.id is not None:
            self._requests[work.id] = work
        if len(self._under_way) >= MAX_UNDER_WAY:
            self._room.clear()
        return work

    def _cancel(self, line: bytes) -> bool:
        """Gives up a request the client cancels; whether that is all there is to do.

        Legacy servers must be told as well; for modern ones the upstream's adapter does, in its own ids.
        """
        target = splice.scalar(splice.get(line, "params", "requestId"))
        work = self._requests.get(target)
        if work is None:
            return False
        was_forwarded = work.turn.is_released
        work.task.cancel()
        return not was_forwarded or work.is_modern

    async def _run(self, work: _Work) -> None:
        try:
            await work.turn.come()
            reply = await self._peer.handle(work.line, self._session)
            work.turn.release()  # forwarded already, or kept back, by a person perhaps: others need not wait for that
            await self._pass_on(work, reply)
        except SidecarError as error:
            await self._fail(work, str(error))
        except Exception as error:
            await self._fail(work, f"Internal error ({type(error).__name__}).")
        finally:
            self._done(work)

    def _done(self, work: _Work) -> None:
        work.turn.release()
        self._under_way.pop(work.task, None)
        self._room.set()
        if work.id is not None and self._requests.get(work.id) is work:
            del self._requests[work.id]

    async def _pass_on(self, work: _Work, reply: Reply) -> None:
        if work.method == "initialize":
            self._session = _session(reply) or self._session
        answered = work.id is None
        opened = False
        async with aclosing(_messages(reply)) as messages:
            async for data in messages:
                head = _head(data)
                if head is None:
                    raise Broken(f"The MCP server's answer is not a JSON-RPC message (status {reply.status}).")
                if head.method is None and reply.status >= 400 and work.id is not None:
                    data = splice.put(data, ("id",), msgspec.json.encode(work.id))
                    answered = True
                answered = answered or (head.method is None and head.id == work.id)
                opened = opened or (work.method == "initialize" and head.result is not msgspec.UNSET)
                if head.method is not None or not work.is_silent:
                    await self._write(data)
        if not answered:
            await self._fail(work, f"The MCP server gave no answer (status {reply.status}).")
        if opened and self._listening is None:
            self._listening = asyncio.get_running_loop().create_task(self._listen())
        if reply.status == 404 and self._session is not None and not work.is_modern:
            self.over.set()

    async def _listen(self) -> None:
        try:
            reply = await self._peer.listen(self._session)
            if reply.status != 200:
                await reply.drop()
                return
            async with aclosing(_messages(reply)) as messages:
                async for data in messages:
                    await self._write(data)
        except SidecarError:
            return

    async def _fail(self, work: _Work, text: str) -> None:
        if work.id is not None:
            await self._write(denial.error(msgspec.json.encode(work.id), -32603, text))

    async def _write(self, data: bytes) -> None:
        await self._writer.write(one_line(data))


def _session(reply: Reply) -> str | None:
    return next((value.decode("latin-1") for name, value in reply.headers if name == _SESSION), None)


async def _messages(reply: Reply) -> AsyncGenerator[bytes, None]:
    """The messages of a reply, however they are framed."""
    if reply.body:
        yield reply.body
    elif reply.events is not None:
        async with aclosing(reply.events) as events:
            async for event in events:
                if event.data:
                    yield event.data
    elif reply.chunks is not None:
        splitter = LineSplitter(_ANSWER_BYTES)
        async with aclosing(reply.chunks) as chunks:
            async for chunk in chunks:
                for line in splitter.feed(chunk):
                    yield _whole(line)
        for line in splitter.end():
            yield _whole(line)


def _whole(line: bytes | Overlong) -> bytes:
    if isinstance(line, Overlong):
        raise Broken(f"The MCP server sent a message of more than {_ANSWER_BYTES} bytes.")
    return line


def _head(data: bytes) -> _Head | None:
    try:
        return _decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
