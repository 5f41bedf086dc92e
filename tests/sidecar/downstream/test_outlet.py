"""What a client gets is shown in test_connection.py; here, what happens beside it."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from sidecar.downstream.outlet import Outlet
from sidecar.downstream.request import Head, Request


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.written += data

    def get_write_buffer_size(self) -> int:
        return len(self.written)


class Parts:
    def __init__(self, *parts: bytes) -> None:
        self.parts = parts
        self.freed = False

    async def __call__(self) -> AsyncGenerator[bytes, None]:
        try:
            for part in self.parts:
                yield part
        finally:
            self.freed = True


def outlet() -> tuple[Outlet, Transport]:
    made, transport = Outlet(), Transport()
    made.transport = transport
    made.request = Request(Head("GET", "/", {}), is_chunkable=True, keeps_alive=True)
    return made, transport


async def test_write_waits_while_the_client_is_behind() -> None:
    made, transport = outlet()
    made.pause()
    writing = asyncio.create_task(made.write(200, [], b"hi"))
    await asyncio.sleep(0)
    assert transport.written.endswith(b"hi")
    assert not writing.done()
    made.resume()
    await writing
    made.resume()


async def test_stream_waits_after_each_part_while_the_client_is_behind() -> None:
    made, transport = outlet()
    made.pause()
    streaming = asyncio.create_task(made.stream(200, [], Parts(b"one", b"two")()))
    for _ in range(5):
        await asyncio.sleep(0)
    assert (b"one" in transport.written, b"two" in transport.written) == (True, False)
    made.resume()
    await streaming
    assert transport.written.endswith(b"two\r\n0\r\n\r\n")


async def test_answer_for_a_client_that_is_gone_is_dropped_and_freed() -> None:
    made, transport = outlet()
    made.transport = None
    parts = Parts(b"one")
    await made.write(200, [], b"hi")
    await made.stream(200, [], parts())
    assert transport.written == b""
    assert parts.freed
    assert not made.request.begun


async def test_stream_whose_head_cannot_be_made_is_freed() -> None:
    made, transport = outlet()
    parts = Parts(b"one")
    with pytest.raises(ValueError, match="line break"):
        await made.stream(200, [(b"a", b"b\n")], parts())
    assert parts.freed
    assert transport.written == b""


@pytest.mark.parametrize("status", [204, 304])
async def test_stream_that_may_have_no_body_has_none_and_is_freed(status: int) -> None:
    made, transport = outlet()
    parts = Parts(b"one")
    await made.stream(status, [(b"a", b"b")], parts())
    assert transport.written.endswith(b"a: b\r\n\r\n")
    assert parts.freed


async def test_moves_while_the_client_takes_what_was_written() -> None:
    made, transport = outlet()
    await made.write(200, [], b"hi")
    made.pause()
    assert not made.moves()
    transport.written = transport.written[1:]
    assert made.moves()
    assert not made.moves()
    made.transport = None
    assert made.unsent_bytes() == 0


async def test_stream_cancelled_midway_is_freed() -> None:
    made, _ = outlet()
    made.pause()
    parts = Parts(b"one", b"two")
    streaming = asyncio.create_task(made.stream(200, [], parts()))
    for _ in range(5):
        await asyncio.sleep(0)
    streaming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await streaming
    assert parts.freed
