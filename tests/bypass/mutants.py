"""Valid messages of both eras, bent where parsers differ. A mutant is a body and the headers that came with it."""

import json
import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
}
NAMES = ["method", "params", "name", "arguments", "_meta", "id", "jsonrpc", "amount", "task", "result", "cursor"]
METHODS = ["tools/call", "tools/list", "ping", "resources/read", "notifications/cancelled", "Tools/Call", "tools/call "]
TOOLS = ["read", "pay", "delete_repo", "read ", "READ", "delete_repo\0", "re\u200bad"]
# fmt: off
VALUES = [
    "0", "-0", "1", "1.0", "1e0", "10e-1", "1E400", "-1e-400", "9007199254740993", "0.1e1", "NaN", "Infinity", "01",
    "+1", "1.", ".5", "0x10", "1_0", "9" * 60, "null", "true", "false", "{}", "[]", '""', '"99"', '"\\ud800"',
    '"\\ud83d\\ude00"', '"\\u0000"', '"a\\/b"', '"\u2028"', '"delete_repo"', '{"amount":99}',
    '{"__proto__":{"amount":99}}', '[[[[1]]]]', '{"a":1,"a":2}', "'x'", '"\t"', "undefined",
]
# fmt: on
Node = Any
"""A value as text, or ["object", [[name as text, Node], …]], or ["array", [Node, …]]."""
Mutant = tuple[bytes, dict[bytes, list[bytes]]]


def _request(method: str, id: Any = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def _seeds() -> list[dict[str, Any]]:
    amounts = {"amount": 5, "to": "häßlich", "list": [1, 2.5, {"x": None}], "deep": {"a": {"b": [True, False]}}}
    legacy = [
        _request("tools/call", name="pay", arguments=amounts),
        _request("tools/call", "s-1", name="read", arguments={}),
        _request("tools/call", 7, name="read"),
        _request("tools/call", 8, name="pay", arguments={"amount": 1.5}, task={"ttl": 1}, _meta={"progressToken": 3}),
        _request("tools/list", 2, cursor=""),
        _request("resources/read", 3, uri="file:///x"),
        _request("prompts/get", 4, name="read", arguments={"amount": "1"}),
        _request(
            "completion/complete", 5, ref={"type": "ref/prompt", "name": "x"}, argument={"name": "a", "value": "b"}
        ),
        _request(
            "initialize", 0, protocolVersion="2025-11-25", capabilities={}, clientInfo={"name": "c", "version": "1"}
        ),
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
        {"jsonrpc": "2.0", "id": 1, "result": {"roots": []}},
        {"jsonrpc": "2.0", "id": "x", "error": {"code": -1, "message": "no"}},
    ]
    calls = [
        one for one in legacy if one.get("method") in ("tools/call", "tools/list", "prompts/get", "resources/read")
    ]
    modern = [{**one, "params": {**one["params"], "_meta": META}} for one in calls]
    return [*legacy, legacy[0], legacy[0], *modern]


def _tree(value: Any) -> Node:
    if isinstance(value, dict):
        return ["object", [[json.dumps(name), _tree(one)] for name, one in value.items()]]
    if isinstance(value, list):
        return ["array", [_tree(one) for one in value]]
    return json.dumps(value, ensure_ascii=False)


def _headers(message: dict[str, Any]) -> dict[bytes, list[bytes]]:
    params = message.get("params", {})
    if params.get("_meta") is not META:
        return {b"mcp-protocol-version": [b"2025-11-25"]}
    named = params.get("name", params.get("uri"))
    pairs = {"mcp-protocol-version": "2026-07-28", "mcp-method": message["method"], "mcp-name": named}
    return {name.encode(): [value.encode()] for name, value in pairs.items() if value is not None}


class Mutants:
    """An endless supply, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._seeds = [(_tree(message), _headers(message)) for message in _seeds()]

    def next(self) -> Mutant:
        pick = self._random
        tree, headers = deepcopy(pick.choice(self._seeds))
        for _ in range(pick.choice((0, 1, 1, 1, 2, 2, 3))):
            self._bend(tree)
        if pick.random() < 0.05:
            self._mislead(headers)
        body = self._text(tree, spaced=pick.random() < 0.2).encode(errors="surrogatepass")
        return (pick.choice(_BYTES)(pick, body) if pick.random() < 0.12 else body), headers

    def _bend(self, tree: Node) -> None:
        objects = [node for node in _nodes(tree) if node[0] == "object" and node[1]]
        if not objects:
            return
        members = self._random.choice(objects)[1]
        index = self._random.randrange(len(members))
        self._random.choice(_BENDS)(self._random, members, index)

    def _mislead(self, headers: dict[bytes, list[bytes]]) -> None:
        name = self._random.choice([b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"mcp-param-amount"])
        value = self._random.choice(
            [b"2026-07-28", b"2025-11-25", b"tools/list", b"tools/call", b"read", b"=?base64?cmVhZA==?="]
        )
        headers[name] = self._random.choice([[value], [value, value], []])

    def _text(self, node: Node, *, spaced: bool) -> str:
        if isinstance(node, str):
            return node
        gap = self._random.choice(["", " ", "\n", "\t", "\r\n"]) if spaced else ""
        if node[0] == "array":
            return f"[{gap}{f',{gap}'.join(self._text(one, spaced=spaced) for one in node[1])}{gap}]"
        members = (f"{name}{gap}:{gap}{self._text(value, spaced=spaced)}" for name, value in node[1])
        return f"{{{gap}{f'{gap},'.join(members)}{gap}}}"


def _nodes(node: Node) -> list[Node]:
    if isinstance(node, str):
        return []
    inner = [one for _, one in node[1]] if node[0] == "object" else node[1]
    return [node, *(found for one in inner for found in _nodes(one))]


Members = list[list[Node]]


def _respell(pick: random.Random, text: str) -> str:
    """The same string, one of its characters escaped."""
    inner = text[1:-1]
    if not inner or "\\" in inner:
        return text
    at = pick.randrange(len(inner))
    units = inner[at].encode("utf-16-be")
    escaped = "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
    return f'"{inner[:at]}{escaped}{inner[at + 1 :]}"'


def _disguise(pick: random.Random, text: str) -> str:
    inner = text[1:-1]
    forms: list[Callable[[], str]] = [
        inner.upper,
        inner.title,
        lambda: inner + "\\u0000",
        lambda: inner.replace("s", "\u017f"),
        lambda: inner.replace("k", "\u212a"),
        lambda: inner + " ",
        lambda: inner.replace("a", "\u0430", 1),
        lambda: inner.replace("i", "\u0130"),
    ]
    return f'"{pick.choice(forms)()}"'


def _value(pick: random.Random) -> str:
    pool = pick.choice([VALUES, [json.dumps(one) for one in METHODS], [json.dumps(one) for one in TOOLS]])
    return pick.choice(pool)


def _rename(pick: random.Random, members: Members, index: int) -> None:
    members[index][0] = pick.choice([_respell, _disguise])(pick, members[index][0])


def _again(pick: random.Random, members: Members, index: int) -> None:
    name, value = members[index]
    spelt = pick.choice([name, _respell(pick, name), _disguise(pick, name)])
    members.insert(pick.randrange(len(members) + 1), [spelt, pick.choice([value, _value(pick)])])


def _replace(pick: random.Random, members: Members, index: int) -> None:
    members[index][1] = _value(pick)


def _respell_value(pick: random.Random, members: Members, index: int) -> None:
    value = members[index][1]
    if isinstance(value, str) and value.startswith('"'):
        members[index][1] = pick.choice([_respell, _respell, _disguise])(pick, value)


def _drop(_pick: random.Random, members: Members, index: int) -> None:
    del members[index]


def _add(pick: random.Random, members: Members, _index: int) -> None:
    name = _respell(pick, json.dumps(pick.choice(NAMES))) if pick.random() < 0.3 else json.dumps(pick.choice(NAMES))
    members.insert(pick.randrange(len(members) + 1), [name, _value(pick)])


def _shuffle(pick: random.Random, members: Members, _index: int) -> None:
    pick.shuffle(members)


def _wrap(_pick: random.Random, members: Members, index: int) -> None:
    members[index][1] = ["array", [members[index][1]]]


_BENDS = [_rename, _again, _replace, _replace, _respell_value, _respell_value, _drop, _add, _shuffle, _wrap]


def _flip(pick: random.Random, body: bytes) -> bytes:
    at = pick.randrange(len(body))
    return body[:at] + bytes([pick.randrange(256)]) + body[at + 1 :]


_BYTES: list[Callable[[random.Random, bytes], bytes]] = [
    _flip,
    _flip,
    lambda pick, body: body[: pick.randrange(len(body))],
    lambda _pick, body: b"\xef\xbb\xbf" + body,
    lambda _pick, body: b"[" + body + b"]",
    lambda _pick, body: body + body,
    lambda _pick, body: body + b"\n" + body,
    lambda _pick, body: body + b"\0",
    lambda _pick, body: body + b" \r\n\t",
    lambda _pick, body: body + b"//",
    lambda _pick, body: body.decode(errors="replace").encode("utf-16"),
    lambda _pick, body: body.decode(errors="replace").encode("utf-32-le"),
    lambda _pick, body: body.replace(b"a", b"\xc1\xa1", 1),
    lambda _pick, body: body.replace(b":", b":/**/", 1),
    lambda _pick, body: body[:-1] + b",}",
]
