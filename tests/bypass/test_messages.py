"""What can be read in two ways never reaches the server; its plain neighbour does. Source: G1–G6, G31, G37, G54."""

import json
from typing import Any

import pytest

from tests.bypass.conftest import Scene, call, http, rpc

PLAIN = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":{}}}'
DENIED = PLAIN.replace(b"read", b"delete_repo")
PAY = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pay","arguments":{"amount":1}}}'


def also(member: str, inside: bytes = b'"name":"read"') -> bytes:
    return PLAIN.replace(inside, inside + f',"{member}":"delete_repo"'.encode())


def paying(**members: Any) -> bytes:
    return PAY.replace(b'{"amount":1}', json.dumps(members).encode())


def amount(text: str) -> bytes:
    return PAY.replace(b'"amount":1', f'"amount":{text}'.encode())


REFUSED = {
    "batch": b"[" + DENIED + b"]",
    "batch of allowed and denied": b"[" + PLAIN + b"," + DENIED + b"]",
    "two messages": PLAIN + DENIED,
    "two lines": PLAIN + b"\n" + DENIED,
    "NUL between": PLAIN + b"\0" + DENIED,
    "name twice": also("name"),
    "name twice, escaped": also("n\\u0061me"),
    "name in capitals": also("NAME"),
    "name with NUL": also("name\\u0000"),
    "params twice": PLAIN[:-1] + b',"params":{"name":"delete_repo"}}',
    "params with long s": PLAIN[:-1] + ',"param\u017f":{"name":"delete_repo"}}'.encode(),
    "method in capitals": DENIED.replace(b'"method":"tools/call"', b'"method":"ping","METHOD":"tools/call"'),
    "arguments with long s": PAY[:-2] + ',"argument\u017f":{"amount":99}}}'.encode(),
    "params in capitals, for none": PLAIN.replace(b'"params"', b'"Params"'),
    "name in an escaped key": PLAIN.replace(b'"name":"read"', b'"n\\u0061me":"read","name":"delete_repo"'),
    "arguments in capitals": PAY[:-2] + b',"ARGUMENTS":{"amount":99}}}',
    "_meta twice": PLAIN.replace(b'"name"', b'"_meta":{},"_meta":{},"name"'),
    "method twice": DENIED[:-1] + b',"method":"ping"}',
    "method twice, escaped": DENIED[:-1] + b',"meth\\u006fd":"ping"}',
    "id twice": DENIED[:-1] + b',"id":2}',
    "amount in capitals": paying(amount=1, AMOUNT=99),
    "amount with NUL": paying(**{"amount": 1, "amount\0": 99}),
    "amount in a prototype": paying(**{"__proto__": {"amount": 99}}),
    "NaN": amount("NaN"),
    "Infinity": amount("Infinity"),
    "hexadecimal": amount("0x63"),
    "UTF-16": DENIED.decode().encode("utf-16"),
    "UTF-32": DENIED.decode().encode("utf-32"),
    "BOM": b"\xef\xbb\xbf" + DENIED,
    "overlong": DENIED.replace(b"d", b"\xc1\xa4"),
    "half a surrogate pair": DENIED.replace(b"delete", b"\\ud800"),
    "too deep": PAY.replace(b"1}}}", b"[" * 100_000 + b"]" * 100_000 + b"}}}"),
    "too long": b" " * 4_200_000 + DENIED,
    **{
        f"id {text}": PLAIN.replace(b'"id":1', b'"id":' + text.encode())
        for text in ("null", "1.5", "true", "false", "{}", "[]", "[1]", "1e0", "-0", "01", '"a\\ud800"')
    },
    "no id": DENIED.replace(b'"id":1,', b""),
    "method and result": PLAIN[:-1] + b',"result":{}}',
    **{f"arguments {text}": PLAIN.replace(b"{}", text.encode()) for text in ("[]", "1", '"{}"')},
    **{
        f"method {method!a}": json.dumps(rpc(method, {"name": "delete_repo", "arguments": {}})).encode()
        for method in ("Tools/Call", "tools/call ", "tools%2Fcall", "tools//call", "\uff54ools/call", "tools\\call")
    },
    "method encoded nine times": json.dumps(rpc("tools%2525252525252525252fcall", {"name": "delete_repo"})).encode(),
    **{
        f"tool {name!a}": json.dumps(call(name)).encode()
        for name in ("delete_repo ", "delete_repo\0", "delete\u200b_repo", "up/delete_repo", "d\u0435lete_repo", "")
    },
}
DENIALS = {
    "hidden": DENIED,
    "capitals": DENIED.replace(b"delete_repo", b"Delete_Repo"),
    **{
        f"amount {text[:12]}": amount(text)
        for text in ("99", '"99"', "[99]", "1e400", "9" * 101, "10.00000000000000001")
    },
}
PASSED = {
    "plain": PLAIN,
    "spaced": b" \r\n" + PLAIN.replace(b",", b" ,\n") + b"\t",
    "escaped": PLAIN.replace(b'"read"', b'"\\u0072ead"'),
    "long id": PLAIN.replace(b'"id":1', b'"id":' + b"9" * 99),
    "amount at the limit": amount("1.0e1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_ambiguous_message_is_refused(scene: Scene, name: str) -> None:
    response = scene.post(REFUSED[name])
    assert response.status_code in (400, 413)
    assert "error" in response.json()
    assert scene.rogue.seen == []


@pytest.mark.parametrize("name", DENIALS)
def test_call_against_the_policy_is_denied(scene: Scene, name: str) -> None:
    assert scene.post(DENIALS[name]).json()["result"]["isError"] is True
    assert scene.rogue.seen == []


@pytest.mark.parametrize("name", PASSED)
def test_unusual_but_plain_call_reaches_the_server_as_it_is(scene: Scene, name: str) -> None:
    assert "error" not in scene.post(PASSED[name]).json()
    assert [seen.body for seen in scene.rogue.seen] == [PASSED[name]]


@pytest.mark.parametrize("method", ["tools/call", "tasks/get", "tasks/list", "tasks/result", "tasks/cancel"])
def test_task_is_begun_and_followed_as_it_is(scene: Scene, method: str) -> None:
    answer = b'{"jsonrpc":"2.0","id":1, "result":{"task":{"taskId":"t","status":"working","ttl":9e2}}}'
    scene.rogue.answers[method] = lambda _seen: http(answer)
    params = {"name": "read", "arguments": {}, "task": {"ttl": 1000}} if method == "tools/call" else {"taskId": "t"}
    body = json.dumps(rpc(method, params)).encode()
    assert scene.post(body).content == answer
    assert [seen.body for seen in scene.rogue.seen] == [body]


def test_approval_is_for_one_grant_one_call_and_once(scene: Scene) -> None:
    other = scene.running.regate("grants", "create", "--server", "up", "--policy", "policy", "--id", "other").split()[0]
    asked = scene.call("risky", {"x": 1}).json()["result"]["_meta"]["dev.regate/decision"]
    scene.running.regate("approvals", "approve", asked["approval"])
    scene.post(call("risky", {"x": 1}), token=other)
    for arguments in ({"x": "1"}, {"x": True}, {"x": 1, "y": None}, {"X": 1}, {}):
        scene.call("risky", arguments)
    assert scene.rogue.seen == []
    scene.call("risky", {"x": 1.0})
    scene.call("risky", {"x": 1})
    assert scene.rogue.reached() == ["risky"]


def test_every_attack_left_a_row_and_no_value(scene: Scene) -> None:
    before = len(scene.audit())
    secret = "hunter2-is-the-word"
    bodies = [
        DENIED,
        REFUSED["batch"],
        REFUSED["name twice"],
        paying(amount=99, text=secret),
        paying(amount=1, text=secret),
    ]
    for body in bodies:
        scene.post(body)
    scene.post(PLAIN, authorization="Bearer " + secret)
    rows = scene.audit()
    assert len(rows) - before == len(bodies) + 1
    assert secret not in json.dumps(rows) + scene.log.read_text()
    scene.unharmed()
