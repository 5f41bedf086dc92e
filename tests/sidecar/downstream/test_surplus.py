import asyncio

import pytest

from sidecar.downstream import surplus
from sidecar.downstream.surplus import Surplus


async def answers(lingering: set[Surplus], count: int) -> list[bytes]:
    """What each of some connections is told, which send a request and wait for the end."""
    server = await asyncio.get_running_loop().create_server(
        lambda: Surplus((503, [], b"full"), lingering), "127.0.0.1", 0
    )
    async with server:
        opened = [await asyncio.open_connection(*server.sockets[0].getsockname()) for _ in range(count)]
        told = []
        for reader, writer in opened:
            try:
                writer.write(b"POST / HTTP/1.1\r\n\r\n")
                told.append(await reader.read())
            except ConnectionError:
                told.append(b"")
            writer.close()
    return told


async def test_surplus_says_why_and_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surplus, "LINGER_S", 0.2)
    lingering: set[Surplus] = set()
    (told,) = await answers(lingering, 1)
    assert told.startswith(b"HTTP/1.1 503")
    assert told.endswith(b"full")
    async with asyncio.timeout(10):
        while lingering:  # noqa: ASYNC110 (a connection tells nobody that it is gone)
            await asyncio.sleep(0)


async def test_surplus_beyond_what_may_linger_is_dropped_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surplus, "LINGERING", 1)
    first, *others = await answers(set(), 3)
    assert first.startswith(b"HTTP/1.1 503")
    assert others == [b"", b""]
