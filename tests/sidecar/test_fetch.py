"""Against real sockets."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from sidecar import fetch as module
from sidecar.fetch import NotFetched, fetch, reason
from tests.certificates import Authority


@contextmanager
def speaking(answer: bytes, *, stays: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """The URL of a server that answers one request with these bytes, and what it was sent."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def serve() -> None:
            with suppress(TimeoutError):
                answered()

        def answered() -> None:
            connection, _ = listening.accept()
            with connection:
                seen.append(connection.recv(65536))
                try:
                    connection.sendall(answer)
                    while stays and connection.recv(65536):
                        pass
                except OSError:
                    pass

        thread = Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/x", seen
        thread.join()


def whole(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, more, len(body), body)


async def test_fetch_gets_a_document_whole() -> None:
    with speaking(whole(b"{}", b"418 Odd")) as (url, seen):
        assert await fetch(url) == (418, b"{}")
    assert seen[0].startswith(b"GET /x HTTP/1.1\r\n")


async def test_fetch_posts_a_form() -> None:
    with speaking(whole(b"{}")) as (url, seen):
        await fetch(url, form={"a": "b c"}, headers={"authorization": "Basic x"})
    assert seen[0].startswith(b"POST /x ")
    assert b"authorization: Basic x" in seen[0].replace(b"Authorization", b"authorization")


async def test_fetch_follows_no_redirect() -> None:
    with speaking(whole(b"", b"302 Found", b"location: http://127.0.0.1:1/\r\n")) as (url, _):
        assert (await fetch(url, headers={"authorization": "Basic x"}))[0] == 302


async def test_fetch_uses_no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with speaking(whole(b"{}")) as (url, _):
        assert (await fetch(url))[0] == 200


async def test_fetch_endless_body_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT_BYTES", 1000)
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000
    with speaking(endless) as (url, _), pytest.raises(NotFetched, match="longer than 1000 bytes"):
        await fetch(url)


async def test_fetch_late_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.05)
    begun = b"HTTP/1.1 200 OK\r\n"
    with speaking(begun, stays=True) as (url, _), pytest.raises(NotFetched, match=r"no answer within 0\.05 s"):
        await fetch(url)


@pytest.mark.parametrize("answer", [b"", b"junk\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"])
async def test_fetch_broken_answer_is_told_without_its_text(answer: bytes) -> None:
    with speaking(answer) as (url, _), pytest.raises(NotFetched) as failed:
        await fetch(url)
    assert "junk" not in str(failed.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://[::1/", "http://no.invalid/"])
async def test_fetch_without_a_server_is_told(url: str) -> None:
    with pytest.raises(NotFetched):
        await fetch(url)


async def test_fetch_says_why_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(NotFetched, match=r"^no answer: connection refused$"):
        await fetch(f"http://127.0.0.1:{port}/x")


async def test_fetch_says_why_a_certificate_is_not_trusted(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*Authority().pair().put(tmp_path))
    async with await asyncio.start_server(_silent, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotFetched, match=r"^no answer: unable to get local issuer certificate$"):
            await fetch(f"https://127.0.0.1:{port}/x")


async def _silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def test_reason_without_words_of_the_system_is_the_kind_of_error() -> None:
    assert reason(ValueError("secret")) == "ValueError"
