"""Source: mcp-gateway.md G48, G51."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from sidecar.errors import SettingsError, SidecarError, Unreachable
from sidecar.ports import Headers, Outgoing, Reply
from sidecar.upstream.credentials import PAUSE_S, Credential, Credentialed, Fresh
from tests.fakes import FakeUpstream

MESSAGE = Outgoing(b"{}", "tools/call", 1)


class Source:
    """Gives `tokens` in turn, the last for ever; an exception is raised. And a clock."""

    def __init__(self, *tokens: Fresh | SidecarError) -> None:
        self.tokens: Sequence[Fresh | SidecarError] = tokens
        self.asked = 0
        self.now_s = 1000.0
        self.warned: list[SidecarError] = []

    async def __call__(self) -> Fresh:
        self.asked += 1
        await asyncio.sleep(0)
        given = self.tokens[min(self.asked, len(self.tokens)) - 1]
        if isinstance(given, Exception):
            raise given
        return given

    def credential(self, **options: Any) -> Credential:
        return Credential(self, self.warned.append, now_s=lambda: self.now_s, **options)


class Server(FakeUpstream):
    """Takes one credential only."""

    def __init__(self, credential: Credential, good: bytes) -> None:
        super().__init__()
        self.credential = credential
        self.good = good

    def _next(self) -> Reply:
        (pair,) = self.credential.headers()
        return Reply(200 if pair[1] == self.good else 401, body=b"x")


def bearer(token: bytes) -> Headers:
    return ((b"authorization", b"Bearer " + token),)


async def test_ready_gets_a_token_once_for_all() -> None:
    source = Source(Fresh("one", 100, 200))
    credential = source.credential()
    assert credential.headers() == ()
    await asyncio.gather(*(credential.ready() for _ in range(3)))
    await credential.ready()
    assert (credential.headers(), source.asked) == (bearer(b"one"), 1)


async def test_header_of_its_own_carries_the_token_alone() -> None:
    credential = Source(Fresh("one", 100)).credential(header="X-Api-Key")
    await credential.ready()
    assert credential.headers() == ((b"x-api-key", b"one"),)


async def test_ready_gets_another_when_the_token_is_worthless() -> None:
    source = Source(Fresh("one", 100, 200), Fresh("two", 100, 200))
    credential = source.credential()
    await credential.ready()
    source.now_s += 199
    await credential.ready()
    assert credential.headers() == bearer(b"one")
    source.now_s += 1
    await credential.ready()
    assert credential.headers() == bearer(b"two")


async def test_ready_without_a_token_sends_nothing_and_asks_seldom() -> None:
    source = Source(SettingsError("the token server is down."))
    credential = source.credential()
    for _ in range(3):
        with pytest.raises(Unreachable, match="the token server is down") as failed:
            await credential.ready()
        assert failed.value.surely_not_run
    assert (source.asked, len(source.warned)) == (1, 1)
    source.now_s += PAUSE_S
    source.tokens = [Fresh("one", 100)]
    await credential.ready()


async def test_token_stays_while_another_cannot_be_got_but_not_past_its_end() -> None:
    source = Source(Fresh("one", 100, 200), SettingsError("down."))
    credential = source.credential()
    await credential.ready()
    source.now_s += 150
    assert not await credential.renewed(bearer(b"one"))
    await credential.ready()
    source.now_s += 50
    with pytest.raises(Unreachable):
        await credential.ready()
    assert not await credential.renewed(bearer(b"other"))


@pytest.mark.parametrize("token", ["", " x", "a\nb", "a\r\nEvil: 1", "ünï", "a\x00b", "a\x7f"])
async def test_token_that_cannot_be_a_header_is_not_sent(token: str) -> None:
    source = Source(Fresh(token, 100))
    credential = source.credential()
    with pytest.raises(Unreachable) as failed:
        await credential.ready()
    assert credential.headers() == ()
    assert not token.strip() or token not in str(failed.value)


def test_fresh_token_is_not_shown() -> None:
    assert "s3cret" not in repr(Fresh("s3cret", 1))


async def test_send_refused_once_shows_a_new_token_and_sends_again() -> None:
    source = Source(Fresh("one", 100), Fresh("two", 100))
    credential = source.credential()
    server = Server(credential, b"Bearer one")
    upstream = Credentialed(server, credential)
    await credential.ready()
    source.now_s += PAUSE_S
    assert (await upstream.send(MESSAGE)).status == 200
    assert (server.tape, source.asked) == (["forward"], 1)
    source.now_s += PAUSE_S
    server.good = b"Bearer two"
    assert (await upstream.send(MESSAGE)).status == 200
    assert (server.tape, source.asked) == (["forward"] * 3, 2)
    await upstream.close()
    assert server.closed


async def test_send_refused_for_ever_is_sent_twice_at_most() -> None:
    source = Source(*(Fresh(str(number), 100) for number in range(9)))
    credential = source.credential()
    server = Server(credential, b"none")
    upstream = Credentialed(server, credential)
    await credential.ready()
    source.now_s += PAUSE_S
    assert (await upstream.send(MESSAGE)).status == 401
    assert server.tape == ["forward"] * 2
    assert (await upstream.send(MESSAGE)).status == 401
    assert (server.tape, source.asked) == (["forward"] * 3, 2)
    await upstream.close()


async def test_send_refused_with_the_same_token_is_not_sent_again() -> None:
    source = Source(Fresh("one", 100))
    credential = source.credential()
    server = Server(credential, b"none")
    upstream = Credentialed(server, credential)
    await credential.ready()
    source.now_s += PAUSE_S
    assert (await upstream.send(MESSAGE)).status == 401
    assert (server.tape, source.asked) == (["forward"], 2)
    await upstream.close()


async def test_many_refused_at_once_get_one_new_token() -> None:
    source = Source(Fresh("one", 100), Fresh("two", 100))
    credential = source.credential()
    server = Server(credential, b"Bearer two")
    upstream = Credentialed(server, credential)
    await credential.ready()
    source.now_s += PAUSE_S
    replies = await asyncio.gather(*(upstream.send(MESSAGE) for _ in range(5)))
    assert ([reply.status for reply in replies], source.asked) == ([200] * 5, 2)
    await upstream.close()


async def test_listen_and_end_show_it_too() -> None:
    credential = Source(Fresh("one", 100)).credential()
    server = Server(credential, b"Bearer one")
    upstream = Credentialed(server, credential)
    assert (await upstream.listen((), None)).status == 200
    assert (await upstream.end((), "s")).status == 200
    assert server.tape == ["listen", "end"]
    await upstream.close()


async def test_run_gets_another_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.upstream.credentials.PAUSE_S", 0.001)
    source = Source(Fresh("one", 0.001, 100), Fresh("two", 0.001, 100), Fresh("three", 100, 100))
    upstream = Credentialed(FakeUpstream(), credential := source.credential())
    async with asyncio.timeout(5):
        await upstream.send(MESSAGE)
        while credential.headers() != bearer(b"three"):  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.001)
    await upstream.close()
