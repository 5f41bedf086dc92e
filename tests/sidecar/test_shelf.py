"""The bundle server over real HTTP: by itself, with a stock OPA as its client, and with a gateway's source."""

import asyncio
import hashlib
import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from sidecar.core.query import Asker
from sidecar.http1 import Origin
from sidecar.opa.client import OpaClient
from sidecar.opa.process import revisions
from sidecar.shelf import BundleServer, Shelf
from sidecar.sources.http import BUNDLES, HttpSource
from sidecar.sources.source import Fetched, Unchanged
from sidecar.sources.transfer import Transfer
from tests import bundles

TOKEN = "t0ken"
ONE, TWO = bundles.bundle(serial=1), bundles.bundle({"p": bundles.DENIES}, serial=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "bundles"
    folder.mkdir()
    put(folder, ONE)
    return folder


def put(folder: Path, data: bytes, name: str = "p.tar.gz") -> None:
    fresh = folder / ".new"
    fresh.write_bytes(data)
    fresh.replace(folder / name)


@pytest.fixture
def short() -> Iterator[Path]:
    """A path that is short enough for a socket, whatever the tests' own folder is called."""
    with TemporaryDirectory(prefix="opa-", dir="/tmp") as folder:
        yield Path(folder) / "opa.sock"


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def server(folder: Path, told: list[str]) -> Iterator[BundleServer]:
    with BundleServer(("127.0.0.1", 0), Shelf(folder), token=lambda: TOKEN, tell=told.append) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


Ask = Callable[..., Any]


@pytest.fixture
def ask(server: BundleServer) -> Ask:
    """`ask(path, **headers)`: the answer, with its body in `body`."""

    def get(path: str = "/p.tar.gz", *, method: str = "GET", token: str = TOKEN, **headers: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers={"Authorization": f"Bearer {token}", **given})
        answer: Any = connection.getresponse()
        answer.content = answer.read()
        connection.close()
        return answer

    return get


def test_bundle_comes_with_what_it_says_of_itself(ask: Ask, told: list[str]) -> None:
    answer = ask()
    assert (answer.status, answer.content) == (200, ONE)
    assert answer.headers["Content-Type"] == BUNDLES
    assert answer.headers["ETag"] == f'"{hashlib.sha256(ONE).hexdigest()}"'
    assert answer.headers["Repr-Digest"].startswith("sha-256=:")
    assert answer.headers["Bundle-Revision"].startswith("library:sha256:")
    assert answer.headers["Bundle-Serial"] == "1"
    assert answer.headers["Bundle-Signature"] == "keyid=default, alg=ES256"
    assert told == ["127.0.0.1 GET /p.tar.gz 200"]


def test_bundle_of_its_etag_is_not_sent_again(ask: Ask, folder: Path) -> None:
    etag = ask().headers["ETag"]
    answer = ask(If_None_Match=etag)
    assert (answer.status, answer.content, answer.headers["Content-Type"]) == (304, b"", BUNDLES)
    put(folder, TWO)
    assert ask(If_None_Match=etag).content == TWO


def test_head_is_as_get_without_the_bundle(ask: Ask) -> None:
    answer = ask(method="HEAD")
    assert (answer.status, answer.content, answer.headers["Content-Length"]) == (200, b"", str(len(ONE)))


@pytest.mark.parametrize(
    "path",
    ["/", "/q.tar.gz", "/../p.tar.gz", "/.p.tar.gz", "/p.json", "/a/p.tar.gz", "/%2e%2e/p.tar.gz", "/p.tar.gz?x"],
)
def test_anything_else_is_not_there(ask: Ask, folder: Path, path: str) -> None:
    put(folder.parent, ONE)
    put(folder, ONE, ".p.tar.gz")
    put(folder, b"{}", "p.json")
    assert ask(path).status == 404


@pytest.mark.parametrize("token", ["", "other", f"{TOKEN}x"])
def test_wrong_token_gets_nothing(ask: Ask, token: str) -> None:
    answer = ask(token=token)
    assert (answer.status, answer.content, answer.headers["WWW-Authenticate"]) == (401, b"", "Bearer")


def test_health_needs_no_token(ask: Ask) -> None:
    assert ask("/healthz", token="").content == b"ok\n"


def test_file_that_is_no_bundle_is_served_without_a_word_on_it(ask: Ask, folder: Path) -> None:
    """What is wrong with it is for its clients to say."""
    for data in (b"junk", bundles.packed({"a": ""}), bundles.packed({".manifest": "[]"})):
        put(folder, data)
        answer = ask()
        assert answer.content == data
        assert "Bundle-Revision" not in answer.headers


def test_serial_that_would_break_the_headers_is_left_out(ask: Ask, folder: Path) -> None:
    put(folder, bundles.packed({".manifest": json.dumps({"revision": "a\r\nX: y", "metadata": {}})}))
    answer = ask()
    assert answer.status == 200
    assert {"Bundle-Revision", "X", "Bundle-Serial", "Bundle-Signature"}.isdisjoint(answer.headers)


def test_client_that_waits_is_answered_when_the_file_changes(ask: Ask, folder: Path) -> None:
    etag = ask().headers["ETag"]
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(ask(If_None_Match=etag, Prefer="modes=snapshot;wait=50")))
    began = time.monotonic()
    waiting.start()
    waiting.join(0.6)
    assert not answers
    put(folder, TWO)
    waiting.join(60)
    assert answers[0].content == TWO
    assert time.monotonic() - began < 40


def test_client_that_waited_long_enough_hears_that_nothing_changed(ask: Ask) -> None:
    assert ask(If_None_Match=ask().headers["ETag"], Prefer="wait=1").status == 304


def test_connections_have_a_bound(server: BundleServer, ask: Ask) -> None:
    server._free = threading.BoundedSemaphore(1)
    held = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
    held.connect()
    held.request("GET", "/healthz")
    held.getresponse().read()
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        ask()
    held.close()


def test_file_written_just_now_is_read_again(folder: Path) -> None:
    shelf = Shelf(folder)
    first = shelf.look("p.tar.gz")
    at = (folder / "p.tar.gz").stat().st_mtime_ns
    (folder / "p.tar.gz").write_bytes(ONE[:-1] + b"x")
    os.utime(folder / "p.tar.gz", ns=(at, at))
    second = shelf.look("p.tar.gz")
    assert first is not None
    assert second is not None
    assert first.etag != second.etag
    os.utime(folder / "p.tar.gz", ns=(at - 60_000_000_000,) * 2)
    third = shelf.look("p.tar.gz")
    assert third is shelf.look("p.tar.gz")


async def test_source_of_a_gateway_waits_for_the_next_bundle(server: BundleServer, folder: Path) -> None:
    url = f"http://127.0.0.1:{server.server_address[1]}/p.tar.gz"
    source = HttpSource(Transfer(), url, lambda: TOKEN, every_s=30, wait_s=60)
    first = await source.fetch("", wait=False)
    assert isinstance(first, Fetched)
    assert (first.data, first.waits) == (ONE, True)
    assert await source.fetch(first.mark, wait=False) == Unchanged(waits=True)
    waiting = asyncio.create_task(source.fetch(first.mark, wait=True))
    put(folder, TWO)
    second = await asyncio.wait_for(waiting, 60)
    assert isinstance(second, Fetched)
    assert second.data == TWO
    await source.close()


CALL = Asker(policy="p", server="s", grant="g").call("add", b"{}")


async def test_stock_opa_polls_it_and_verifies(
    server: BundleServer, folder: Path, told: list[str], opa_path: Path, tmp_path: Path, short: Path
) -> None:
    """An OPA with keys, a keyid and long polling takes each good bundle, and none that is unsigned."""
    config = {
        "services": {
            "shelf": {
                "url": f"http://127.0.0.1:{server.server_address[1]}",
                "credentials": {"bearer": {"token": TOKEN}},
            }
        },
        "keys": {"default": {"algorithm": "ES256", "key": bundles.public_pem(bundles.EC_KEY).decode()}},
        "bundles": {
            "regate": {
                "service": "shelf",
                "resource": "p.tar.gz",
                "signing": {"keyid": "default"},
                "polling": {"min_delay_seconds": 1, "max_delay_seconds": 1, "long_polling_timeout_seconds": 5},
            }
        },
    }
    (tmp_path / "opa.json").write_text(json.dumps(config))
    command = [opa_path, "run", "--server", "--addr", f"unix://{short}", "-c", tmp_path / "opa.json"]
    command += ["--skip-version-check", "--log-level", "error"]
    opa = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
    client = OpaClient(Origin(socket_path=str(short)), timeout_s=5)
    try:
        await _decides(client, "allow")
        put(folder, TWO)
        await _decides(client, "deny")
        put(folder, bundles.packed(bundles.files(serial=3)))
        told.clear()
        await _until(lambda: len(told) >= 2)
        assert await _outcome(client) == "deny", "it has asked again, and did not take what is not signed"
        put(folder, bundles.bundle(serial=4))
        await _decides(client, "allow")
        assert set(await revisions(client.ask)) == {"p"}
    finally:
        await client.close()
        opa.kill()
        await opa.wait()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110 (another process tells nobody)
            await asyncio.sleep(0.1)


async def _decides(client: OpaClient, outcome: str) -> None:
    async with asyncio.timeout(90):
        while await _outcome(client) != outcome:  # noqa: ASYNC110 (another process tells nobody)
            await asyncio.sleep(0.1)


async def _outcome(client: OpaClient) -> str:
    from sidecar.errors import DecisionError

    try:
        return (await client.decide(CALL)).outcome
    except DecisionError:
        return ""
