"""No answer of the server's turns the gateway or its client against anybody, nor wears it out.

Source: G15, G18, G19, G25, G26, G48, G51, G52.
"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.bypass.conftest import HIDDEN, Open, Rogue, Scene, http, listing, rpc, stream

LIST = json.dumps(listing(1)).encode()
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
WAYS = ["tools/list", "ping", "tools/call"]


@pytest.fixture
def elsewhere() -> Iterator[Rogue]:
    """Another server, to which nothing must come."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        other = Rogue(listening.getsockname()[1])
        threading.Thread(target=other.serve, args=(listening,), daemon=True).start()
        yield other


def ask(scene: Scene, way: str) -> httpx.Response:
    return scene.post(rpc(way, {"name": "read", "arguments": {}}))


def until_silent(scene: Scene, way: str) -> bytes:
    """What comes of an answer before half a second of silence, upon which the client leaves."""
    message = json.dumps(rpc(way, {"name": "read", "arguments": {}})).encode()
    verb, content = ("GET", None) if way == "GET" else ("POST", message)
    received = []
    with suppress(httpx.ReadTimeout), httpx.Client(timeout=0.5) as client:
        with client.stream(verb, scene.running.url, content=content, headers=scene.headers) as response:
            for part in response.iter_raw():
                received.append(part)
        raise AssertionError("the answer came to an end")
    return b"".join(received)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_leads_nowhere(scene: Scene, elsewhere: Rogue, status: int) -> None:
    target = f"http://127.0.0.1:{elsewhere.port}/mcp"
    for way in (*WAYS, "GET", "DELETE"):
        scene.rogue.answers[way] = lambda _seen: http(b"", status=f"{status} X", extra=f"location: {target}\r\n")
    responses = [ask(scene, way) for way in WAYS]
    responses += [scene.client.request(verb, scene.running.url, headers=scene.headers) for verb in ("GET", "DELETE")]
    assert [response.status_code for response in responses] == [status] * 5
    assert not any("location" in response.headers for response in responses)
    assert elsewhere.seen == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_challenge_of_the_server_reaches_no_client(scene: Scene, status: str, way: str) -> None:
    challenge = 'www-authenticate: Bearer resource_metadata="http://evil.example/"\r\n'
    scene.rogue.answers[way] = lambda _seen: http(LIST, status=status, extra=challenge)
    response = ask(scene, way)
    assert response.status_code == 502
    assert response.json()["error"]["code"] == -32603
    assert "www-authenticate" not in response.headers
    assert "evil" not in response.text
    assert HIDDEN not in response.text


def test_headers_of_the_server_stay_behind(scene: Scene) -> None:
    extra = (
        "set-cookie: a=b\r\nwww-authenticate: Basic\r\naccess-control-allow-origin: *\r\nlink: <http://evil>\r\n"
        'refresh: 0;url=http://evil\r\nalt-svc: h2="evil:443"\r\ncache-control: no-store\r\n'
    )
    scene.rogue.answers["ping"] = lambda _seen: http(b'{"jsonrpc":"2.0","id":1,"result":{}}', extra=extra)
    response = scene.post(rpc("ping"))
    assert response.json()["result"] == {}
    assert set(response.headers) == {"content-type", "content-length", "cache-control"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", ["400 X", "404 X", "405 X", "500 X"])
def test_refusal_of_the_server_passes_as_it_is(scene: Scene, status: str, way: str) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}'
    scene.rogue.answers[way] = lambda _seen: http(body, status=status)
    response = ask(scene, way)
    assert (response.status_code, response.content) == (int(status[:3]), body)


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("way", ["GET", *WAYS])
def test_answer_without_end_is_given_up_with_its_client(scene: Scene, way: str, kind: str) -> None:
    head = CHUNKED.replace(b"application/json", kind.encode())
    part = LIST if kind == "application/json" else b"data: " + LIST + b"\n\n"
    answer = Open(head, b"1\r\n\n\r\n", b"%x\r\n%b\r\n" % (len(part), part))
    scene.rogue.answers[way] = lambda _seen: answer
    received = until_silent(scene, way)
    assert HIDDEN.encode() not in received
    assert (b'"pay"' in received) == (kind == "text/event-stream")
    assert answer.closed.wait(5), "the server's answer outlived its client"
    scene.rogue.answers.clear()
    scene.unharmed()


def test_list_longer_than_any_is_withheld_and_memory_comes_back(scene: Scene) -> None:
    filler = b"%x\r\n%b\r\n" % (1 << 20, b" " * (1 << 20))
    scene.rogue.answers["tools/list"] = lambda _seen: [
        CHUNKED,
        b"%x\r\n%b\r\n" % (len(LIST), LIST),
        *[filler] * 66,
        b"0\r\n\r\n",
    ]
    response = scene.post(rpc("tools/list"))
    assert response.status_code == 502
    assert HIDDEN not in response.text
    scene.unharmed()
    status = Path(f"/proc/{scene.running.pid}/status")
    if status.exists():
        (resident,) = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmRSS")]
        assert int(resident) < 300_000


def test_event_longer_than_any_ends_its_stream_without_the_hidden_tool(scene: Scene) -> None:
    scene.rogue.answers["tools/list"] = lambda _seen: [
        stream(b": ok\n\n", b"data: " + LIST[:-1]),
        *[b" " * (1 << 20)] * 66,
        b"}\n\n",
    ]
    response = scene.post(rpc("tools/list"))
    assert HIDDEN not in response.text
    scene.unharmed()
