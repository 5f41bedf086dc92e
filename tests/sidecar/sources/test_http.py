from collections.abc import AsyncIterator
from typing import Any

import pytest

from sidecar.fetch import NotFetched
from sidecar.sources.http import BUNDLES, HttpSource
from sidecar.sources.source import Fetched, Unchanged
from sidecar.sources.transfer import Transfer


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} x", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture
async def source(web: Any) -> AsyncIterator[HttpSource]:
    made = HttpSource(Transfer(), f"{web.url}/b.tar.gz", lambda: "t0ken", every_s=30, wait_s=5)
    yield made
    await made.close()


async def test_bundle_is_asked_for_by_its_etag(web: Any, source: HttpSource) -> None:
    web.answers = lambda asked: (
        answer(304) if asked.headers.get("if-none-match") == '"1"' else answer(200, b"one", ETag='"1"')
    )
    assert await source.fetch("", wait=True) == Fetched(b"one", '"1"')
    assert await source.fetch('"1"', wait=False) == Unchanged()
    assert [asked.headers["prefer"] for asked in web.asked] == ["modes=snapshot"] * 2
    assert web.asked[0].headers["authorization"] == "Bearer t0ken"


async def test_bundle_is_waited_for_where_the_server_offers_it(web: Any, source: HttpSource) -> None:
    web.answers = lambda _: answer(304, Content_Type=BUNDLES)
    assert await source.fetch('"1"', wait=True) == Unchanged(waits=True)
    assert web.asked[0].headers["prefer"] == "modes=snapshot;wait=5"


async def test_bundle_is_not_waited_for_where_that_is_off(web: Any) -> None:
    source = HttpSource(Transfer(), web.url, str, every_s=30, wait_s=0)
    web.answers = lambda _: answer(200, b"x", Content_Type=BUNDLES)
    assert await source.fetch('"1"', wait=True) == Fetched(b"x", "")
    assert web.asked[0].headers["prefer"] == "modes=snapshot"
    assert "authorization" not in web.asked[0].headers
    await source.close()


@pytest.mark.parametrize(("status", "mark"), [(404, ""), (500, '"1"'), (401, ""), (204, ""), (304, "")])
async def test_bundle_any_other_answer_is_none(web: Any, source: HttpSource, status: int, mark: str) -> None:
    web.answers = lambda _: answer(status, b"page" if status != 304 else b"")
    with pytest.raises(NotFetched, match=f"the server answers with status {status}"):
        await source.fetch(mark, wait=False)


@pytest.mark.parametrize("etag", ["\xe9", "x" * 1001])
async def test_etag_that_cannot_be_sent_back_is_not_kept(web: Any, source: HttpSource, etag: str) -> None:
    web.answers = lambda _: f"HTTP/1.1 200 x\r\nETag: {etag}\r\nContent-Length: 1\r\n\r\nb".encode("latin-1")
    assert await source.fetch("", wait=False) == Fetched(b"b", "")
