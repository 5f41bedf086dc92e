"""One request is one message from one caller, however framed, wherever it goes. Source: G7–G9, G14, G18, G21, G54."""

import json
import socket
from contextlib import ExitStack

import pytest

from tests.bypass.conftest import Open, Scene, call

DENIED = json.dumps(call("delete_repo")).encode()
ALLOWED = json.dumps(call("read")).encode()


def chunked(body: bytes, trailers: bytes = b"") -> bytes:
    return b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers)


def smuggled(scene: Scene) -> bytes:
    return f"{scene.head()}content-length: {len(DENIED)}\r\n\r\n".encode() + DENIED


@pytest.mark.parametrize(
    "framing",
    [
        ["transfer-encoding: chunked", f"content-length: {len(ALLOWED)}"],
        ["transfer-encoding: xchunked"],
        ["transfer-encoding: chunked, identity"],
        ["transfer-encoding : chunked"],
        [f"content-length: {len(ALLOWED)}", "content-length: 0"],
        [f"content-length: +{len(ALLOWED)}"],
        [f"content-length: {len(ALLOWED)}", "x: a\r\n content-length: 0"],
        [f"content-length: {len(ALLOWED)}", "user-agent: a\nx: 1"],
    ],
    ids=str,
)
def test_ambiguous_framing_is_refused(scene: Scene, framing: list[str]) -> None:
    head = (scene.head("POST /mcp HTTP/1.1", *framing) + "\r\n").encode()
    received = scene.raw(head + chunked(ALLOWED) + smuggled(scene), 1)
    assert received.startswith(b"HTTP/1.1 400")
    assert received.count(b"HTTP/1.1") == 1
    assert scene.rogue.seen == []
    scene.unharmed()


def test_pipelined_requests_are_each_judged(scene: Scene) -> None:
    request = f"{scene.head()}content-length: {len(ALLOWED)}\r\n\r\n".encode() + ALLOWED
    received = scene.raw(request + smuggled(scene) + request, 1)
    assert received.count(b"HTTP/1.1 200") == 3
    assert scene.rogue.reached() == ["read", "read"]


@pytest.mark.parametrize("framing", ["transfer-encoding: chunked", f"content-length: {10**15}"])
def test_body_without_end_is_refused_while_it_comes(scene: Scene, framing: str) -> None:
    piece = b"%x\r\n%b\r\n" % (1 << 20, b" " * (1 << 20))
    received = scene.raw((scene.head("POST /mcp HTTP/1.1", framing) + "\r\n").encode() + 5 * piece)
    assert received.startswith(b"HTTP/1.1 413")
    assert scene.rogue.seen == []
    scene.unharmed()


@pytest.mark.parametrize("together", [True, False], ids=["at once", "later"])
def test_trailers_reach_nobody(scene: Scene, together: bool) -> None:
    trailers = (
        b"content-type: application/json; charset=utf-7\r\nmcp-name: delete_repo\r\nmcp-method: tools/list\r\n"
        b"mcp-param-amount: 99\r\nmcp-protocol-version: 2026-07-28\r\nlast-event-id: 9\r\nauthorization: x\r\n"
    )
    head = f"{scene.head()}transfer-encoding: chunked\r\n\r\n".encode()
    with socket.create_connection(scene.address, 5) as connection:
        connection.sendall(head)
        if not together:
            scene.client.get(f"{scene.running.url.rpartition('/')[0]}/healthz")  # behind the head, in one loop
        connection.sendall(chunked(ALLOWED, trailers))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    (seen,) = scene.rogue.seen
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["mcp-protocol-version"] == "2025-11-25"
    assert not {"mcp-name", "mcp-method", "mcp-param-amount", "last-event-id", "authorization"} & set(seen.headers)


def test_headers_of_the_client_stay_behind(scene: Scene) -> None:
    scene.call("read", cookie="a=b", x_forwarded_host="evil", forwarded="for=1", proxy_authorization="x", te="trailers")
    (seen,) = scene.rogue.seen
    assert set(seen.headers) <= {"host", "content-length", "accept-encoding", *scene.headers, "user-agent"} - {
        "authorization"
    }
    assert seen.headers["host"] == f"127.0.0.1:{scene.rogue.port}"


@pytest.mark.parametrize(
    "path",
    [
        "/mcp/",
        "//mcp",
        "/mcp%2F",
        "/%6dcp",
        "/mcp/../mcp",
        "/mcp;x",
        "/MCP",
        "/mcp/up/",
        "/mcp/%75p",
        "/mcp%00",
        "/mcp#f",
    ],
)
def test_path_that_only_looks_like_the_endpoint_is_not_found(scene: Scene, path: str) -> None:
    head = scene.head(f"POST {path} HTTP/1.1", f"content-length: {len(ALLOWED)}", "connection: close")
    assert scene.raw(head.encode() + b"\r\n" + ALLOWED).startswith(b"HTTP/1.1 404")
    assert scene.rogue.seen == []


@pytest.mark.parametrize("path", ["/mcp?x=/../", "/mcp/up", "http://elsewhere/mcp"])
def test_path_that_is_the_endpoint_reaches_the_one_upstream_url(scene: Scene, path: str) -> None:
    head = scene.head(f"POST {path} HTTP/1.1", f"content-length: {len(ALLOWED)}", "connection: close")
    assert scene.raw(head.encode() + b"\r\n" + ALLOWED).startswith(b"HTTP/1.1 200")
    assert [seen.target for seen in scene.rogue.seen] == ["/mcp"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Bearer x"}, 401),
        ({"authorization": "bearer"}, 401),
        ({"host": "evil.example"}, 421),
        ({"host": "localhost.evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "evil.example@127.0.0.1"}, 421),
        ({"host": "127.0.0.1, evil.example"}, 421),
        ({"host": "2130706433"}, 421),
        ({"host": "0.0.0.0"}, 421),
        ({"host": "evil.example", "origin": "http://evil.example"}, 421),
        ({"origin": "http://127.0.0.1"}, 403),
        ({"origin": "http://127.0.0.1.evil.example"}, 403),
        ({"origin": "file://"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"content_type": "application/json; charset=utf-7"}, 415),
        ({"content_type": "text/plain"}, 415),
        ({"content_encoding": "gzip"}, 415),
        ({"accept": "application/json"}, 406),
        ({"expect": "100-continue"}, 417),
        ({"upgrade": "h2c", "connection": "upgrade"}, 400),
        ({"upgrade": "websocket", "connection": "Upgrade"}, 400),
        ({"content_type": "application/json, text/plain"}, 415),
        ({"content_encoding": "identity, gzip"}, 415),
        ({"mcp_session_id": "up-1"}, 404),
        ({"mcp_method": "tools/list"}, 400),
        ({"mcp_protocol_version": "2099-01-01"}, 400),
    ],
    ids=str,
)
def test_request_with_a_foreign_header_is_refused(scene: Scene, headers: dict[str, str], status: int) -> None:
    assert scene.post(ALLOWED, **headers).status_code == status
    assert scene.rogue.seen == []
    scene.unharmed()


@pytest.mark.parametrize("verb", ["GET", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    ("foreign", "status"), [({"host": "evil.example"}, 421), ({"origin": "http://evil.example"}, 403)], ids=str
)
def test_page_from_elsewhere_is_refused_by_every_method(
    scene: Scene, verb: str, foreign: dict[str, str], status: int
) -> None:
    response = scene.client.request(verb, scene.running.url, headers={**scene.headers, **foreign})
    assert response.status_code == status
    assert not [name for name in response.headers if name.startswith("access-control-")]
    assert scene.rogue.seen == []


def test_session_of_another_grant_does_not_exist(scene: Scene) -> None:
    lines = scene.running.regate("grants", "create", "--server", "up", "--policy", "policy", "--id", "other")
    other = lines.split()[0]
    theirs = scene.session(other)
    scene.rogue.seen.clear()
    headers = {**scene.headers, "mcp-session-id": theirs}
    assert scene.post(ALLOWED, mcp_session_id=theirs).status_code == 404
    assert scene.client.get(scene.running.url, headers=headers).status_code == 404
    assert scene.client.delete(scene.running.url, headers=headers).status_code == 404
    assert scene.rogue.seen == []
    assert scene.post(ALLOWED, token=other, mcp_session_id=theirs).status_code == 200


def test_listener_with_a_request_behind_it_is_ended_with_its_client(scene: Scene) -> None:
    listened = Open(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: hello\n\n")
    scene.rogue.answers["GET"] = lambda _seen: listened
    with socket.create_connection(scene.address, 5) as connection:
        connection.sendall((scene.head("GET /mcp HTTP/1.1") + "\r\n").encode())
        while b"hello" not in connection.recv(1000):
            continue
        connection.sendall(smuggled(scene))
    assert listened.closed.wait(5), "the gateway still listens for a client that has gone"


@pytest.mark.parametrize(
    "doubled",
    ["host: evil.example", "authorization: Bearer x", "content-type: text/plain", "origin: http://evil.example"],
)
def test_header_given_twice_is_not_chosen_from(scene: Scene, doubled: str) -> None:
    head = scene.head("POST /mcp HTTP/1.1", doubled, f"content-length: {len(ALLOWED)}", "connection: close")
    received = scene.raw(head.encode() + b"\r\n" + ALLOWED)
    assert int(received.split(b" ")[1]) in (401, 403, 415, 421)
    assert scene.rogue.seen == []
    scene.unharmed()


def test_page_from_the_gateways_own_place_passes(scene: Scene) -> None:
    host, port = scene.address
    assert scene.post(ALLOWED, origin=f"http://{host}:{port}").status_code == 200
    (seen,) = scene.rogue.seen
    assert "origin" not in seen.headers


def test_slow_clients_hold_up_nobody_and_reach_nothing(scene: Scene) -> None:
    """Slow loris. How each is cut off, and when, is in tests/sidecar/downstream/test_connection.py."""
    half_head = scene.head("POST /mcp HTTP/1.1", f"content-length: {len(DENIED)}").encode()
    halves = [half_head[:20], half_head, half_head + b"\r\n", half_head + b"\r\n" + ALLOWED[:-1]]
    with ExitStack() as stack:
        for number in range(200):
            connection = stack.enter_context(socket.create_connection(scene.address, 5))
            connection.sendall(halves[number % len(halves)])
        for _ in range(20):
            assert scene.post(ALLOWED).status_code == 200
    assert scene.rogue.reached() == ["read"] * 20
