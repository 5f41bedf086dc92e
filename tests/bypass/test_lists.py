"""No disguise of a tool list shows a hidden tool, and an odd but readable list still arrives. Source: G22, G26."""

import gzip
import json
from collections.abc import Callable

import pytest

from tests.bypass.conftest import HIDDEN, Scene, Seen, answered, http, listing, rpc, stream

Disguise = Callable[[bytes], bytes | list[bytes]]
EMPTY = b'{"jsonrpc":"2.0","id":1,"result":{}}'
READABLE: dict[str, Disguise] = {
    **{f"status {code}": lambda data, code=code: http(data, status=f"{code} X") for code in (201, 206, 302, 400, 500)},
    "text/plain": lambda data: http(data, kind="text/plain"),
    "no content type": lambda data: http(data, kind=None),
    "batch": lambda data: http(b"[" + data + b"]"),
    "error beside the result": lambda data: http(data[:-1] + b',"error":{"code":1,"message":"x"}}'),
    "escaped name": lambda data: http(data.replace(b'"tools"', b'"\\u0074ools"')),
    "NUL in the name": lambda data: http(data.replace(b'"tools"', b'"to\\u0000ols"')),
    "UTF-16": lambda data: http(data.decode().encode("utf-16")),
    "BOM": lambda data: http(b"\xef\xbb\xbf" + data),
    "two messages": lambda data: http(EMPTY + data),
    "event": lambda data: stream(b"data: " + data + b"\n\n"),
    "event after BOM": lambda data: stream(b"\xef\xbb\xbfdata: " + data + b"\n\n"),
    "event with CR": lambda data: stream(b"data: " + data + b"\r\r"),
    "event in two lines": lambda data: stream(b"data: " + data.replace(b'"result"', b'\ndata: "result"') + b"\n\n"),
    "break in the name": lambda data: stream(b"data: " + data.replace(b'"tools"', b'"too\ndata: ls"') + b"\n\n"),
    "events concatenated": lambda data: stream(b"data: " + EMPTY + data + b"\n\n"),
    "event in bytes": lambda data: [*(bytes([byte]) for byte in stream(b"data: " + data + b"\n\n"))],
    "event of status 400": lambda data: stream(b"data: " + data + b"\n\n").replace(b"200 OK", b"400 X"),
}
WITHHELD: dict[str, Disguise] = {
    "gzip": lambda data: http(gzip.compress(data), extra="content-encoding: gzip\r\n"),
    "gzip in transfer": lambda data: _chunked(gzip.compress(data), "gzip, chunked"),
    "event type on JSON": lambda data: http(data, kind="text/event-stream"),
    "JSON type on an event": lambda data: http(b"data: " + data + b"\n\n"),
    "NUL before": lambda data: stream(b"data: \0" + data + b"\n\n"),
    "NUL before, odd length": lambda data: stream(b"data: \0" + data + b" \n\n"),
    "NUL between": lambda data: http(data.replace(b'"tools"', b'\0"tools"')),
    "second BOM": lambda data: stream(b"data: {}\n\n\xef\xbb\xbfdata: " + data + b"\n\n"),
    "data in capitals": lambda data: stream(b"DATA: " + data + b"\n\n"),
    "line separator": lambda data: stream(b"event: x\xe2\x80\xa8data: " + data + b"\n\n"),
    "unfinished event": lambda data: stream(b"data: " + data),
    "single quotes": lambda data: http(data.replace(b'"', b"'")),
    "comment": lambda data: http(data.replace(b'"tools":', b'"tools"/**/:')),
    "status 401": lambda data: http(data, status="401 X"),
    "status 600": lambda data: http(data, status="600 X"),
    "status 099": lambda data: http(data, status="099 X"),
    "switching protocols": lambda data: http(data, status="101 X"),
    "length and chunks": lambda data: _chunked(data, "chunked", "content-length: 5\r\n"),
}


def _chunked(data: bytes, coding: str, extra: str = "") -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: {coding}\r\n{extra}\r\n"
    return head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)


def _disguised(scene: Scene, disguise: Disguise, method: str) -> None:
    def answer(seen: Seen) -> bytes | list[bytes]:
        return disguise(json.dumps(listing(seen.message.get("id", 1))).encode())

    scene.rogue.answers[method] = answer


def _shown(data: bytes) -> bool:
    """Whether a client could read the hidden name, in any way it may unpack the body."""
    if data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)
    return HIDDEN.encode() in data.replace(b"\0", b"")


@pytest.mark.parametrize("name", READABLE)
def test_odd_list_arrives_without_the_hidden_tool(scene: Scene, name: str) -> None:
    _disguised(scene, READABLE[name], "tools/list")
    received = scene.post(rpc("tools/list")).content
    assert not _shown(received)
    assert b'"pay"' in received


@pytest.mark.parametrize("name", WITHHELD)
def test_unreadable_list_is_withheld(scene: Scene, name: str) -> None:
    _disguised(scene, WITHHELD[name], "tools/list")
    received = scene.post(rpc("tools/list")).content
    assert not _shown(received)
    assert b'"pay"' not in received


@pytest.mark.parametrize("way", ["GET", "GET resumed", "ping", "resources/read", "tasks/result", "tools/call"])
@pytest.mark.parametrize("name", ["event", "batch", "event in two lines", "event in bytes", "gzip in transfer"])
def test_list_on_another_way_is_filtered(scene: Scene, name: str, way: str) -> None:
    headers = dict(scene.headers)
    if way == "GET resumed":
        scene.rogue.answers["GET"] = lambda _seen: stream(b"id: 7\ndata:\n\n")
        given = scene.client.get(scene.running.url, headers=headers).text.partition("\n")[0]
        headers["last-event-id"] = given.removeprefix("id: ")
    _disguised(scene, (READABLE | WITHHELD)[name], way.partition(" ")[0])
    if way.startswith("GET"):
        received = scene.client.get(scene.running.url, headers=headers).content
    else:
        received = scene.post(rpc(way, {"name": "read", "arguments": {}})).content
    assert not _shown(received)
    assert (b'"pay"' in received) == (name in READABLE)


def test_list_after_all_that_is_the_usual_one(scene: Scene) -> None:
    tools = answered(scene.post(rpc("tools/list")))["result"]["tools"]
    assert [tool["name"] for tool in tools] == ["read", "pay", "limited", "risky"]
    scene.unharmed()
