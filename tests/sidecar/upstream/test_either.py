"""Source: mcp-gateway.md G47; MCP 2025-11-25, transports, backwards compatibility."""

import pytest

from sidecar.errors import Unreachable
from sidecar.ports import Headers, Outgoing, Reply
from sidecar.upstream.either import EitherUpstream

INITIALIZE = Outgoing(b"{}", "initialize", 1)
LIST = Outgoing(b"{}", "tools/list", 2)


class Server:
    def __init__(self, status: int | None) -> None:
        self.status = status
        self.heard: list[str] = []

    async def send(self, message: Outgoing) -> Reply:
        return self._heard(str(message.method))

    async def listen(self, headers: Headers, session: str | None) -> Reply:
        return self._heard("GET")

    async def end(self, headers: Headers, session: str | None) -> Reply:
        return self._heard("DELETE")

    async def close(self) -> None:
        self.heard.append("close")

    def _heard(self, what: str) -> Reply:
        self.heard.append(what)
        if self.status is None:
            raise Unreachable("no stream here")
        return Reply(self.status, body=b"")


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_server_that_answers_initialize_the_older_way_is_spoken_to_that_way(status: int) -> None:
    newer, older = Server(status), Server(200)
    upstream = EitherUpstream(newer, older)
    assert (await upstream.send(LIST)).status == status
    assert (await upstream.send(INITIALIZE)).status == 200
    await upstream.send(LIST)
    await upstream.listen((), None)
    await upstream.end((), None)
    await upstream.close()
    assert newer.heard == ["tools/list", "initialize", "close"]
    assert older.heard == ["initialize", "tools/list", "GET", "DELETE", "close"]


async def test_server_that_answers_neither_way_is_answered_for_by_the_newer() -> None:
    newer, older = Server(405), Server(None)
    upstream = EitherUpstream(newer, older)
    assert (await upstream.send(INITIALIZE)).status == 405
    assert (await upstream.send(INITIALIZE)).status == 405
    assert newer.heard == older.heard == ["initialize", "initialize"]


async def test_server_that_has_answered_once_is_not_tried_the_older_way() -> None:
    newer, older = Server(200), Server(200)
    upstream = EitherUpstream(newer, older)
    await upstream.send(LIST)
    newer.status = 404
    assert (await upstream.send(INITIALIZE)).status == 404
    assert older.heard == []


@pytest.mark.parametrize("status", [401, 500])
async def test_server_that_refuses_otherwise_is_not_tried_the_older_way(status: int) -> None:
    newer, older = Server(status), Server(200)
    assert (await EitherUpstream(newer, older).send(INITIALIZE)).status == status
    assert older.heard == []
