"""The same tricks line by line: no line carries a denied call to a process, none brings a hidden tool back.

Source: G1–G6, G26, G54.
"""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples import gateway
from tests.bypass.conftest import HEADERS, HIDDEN, POLICY, listing, rpc
from tests.bypass.test_messages import DENIALS, PASSED, REFUSED

ROOT = Path(gateway.__file__).parents[1]
SERVER = ROOT / "tests" / "servers" / "disguised.py"
INITIALIZE = rpc("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c"}}, 0)
LAST = rpc("ping", id="last")
OWN_LINES = {"too long", "two lines"}
"""Of the messages that are refused, those that are other messages as lines."""

READABLE: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "beside an error": lambda data: data[:-1] + b',"error":{"code":1,"message":"x"}}',
    "escaped name": lambda data: data.replace(b'"tools"', b'"\\u0074ools"'),
    "NUL in the name": lambda data: data.replace(b'"tools"', b'"to\\u0000ols"'),
    "spaced": lambda data: b" \t" + data.replace(b",", b" , ") + b" \r",
    "twice": lambda data: data.replace(b'"tools":', b'"tools":[],"tools":'),
}
UNREADABLE: dict[str, Callable[[bytes], bytes]] = {
    "batch": lambda data: b"[" + data + b"]",
    "after BOM": lambda data: b"\xef\xbb\xbf" + data,
    "UTF-16": lambda data: data.decode().encode("utf-16-le"),
    "after another": lambda data: b'{"jsonrpc":"2.0","method":"notifications/x"}' + data,
    "of no id": lambda data: data.replace(b'"id"', b'"di"'),
    "of another id": lambda data: data.replace(b'"id": ', b'"id": 9'),
    "in a notification": lambda data: re.sub(rb'"id": \d+', b'"method": "notifications/x"', data),
    "as an event": lambda data: b"data: " + data,
    "with a comment": lambda data: data.replace(b'"tools":', b'"tools"/**/:'),
    "cut by a carriage return": lambda data: data.replace(b'"tools":', b'"tools":\r'),
    "behind a line of its own": lambda data: b"\n" + data,
}


def served(folder: Path, lines: Sequence[bytes], until: Sequence[bytes] = ()) -> tuple[list[bytes], list[bytes]]:
    """What a gateway on stdio says to these lines, until a line for each pattern is there, or all; what the server got.

    Without `until` every line is answered before the gateway ends, since it ends by its input's end.
    """
    policy, log = folder / "policy.json", folder / "log"
    policy.write_text(json.dumps(POLICY))
    command = [sys.executable, "-m", "sidecar", "stdio", "--policy", str(policy), "--state", str(folder / "state")]
    with subprocess.Popen(
        [*command, "--", sys.executable, str(SERVER), str(log)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n".join([json.dumps(INITIALIZE).encode(), *lines, json.dumps(LAST).encode(), b""]))
        process.stdin.flush()
        said: list[bytes] = []
        missing = set(until)
        while missing:
            said.append(process.stdout.readline())
            assert said[-1], f"the gateway ended without a line for each of {missing}"
            missing = {pattern for pattern in missing if not re.search(pattern, said[-1])}
        if until:
            process.terminate()
        else:
            process.stdin.close()
        said += process.stdout
    return said, log.read_bytes().splitlines()


@pytest.fixture(autouse=True)
def own_opa(opa_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGATE_OPA", str(opa_path))


def test_lines_that_are_ambiguous_or_denied_reach_no_process_and_plain_ones_do(tmp_path: Path) -> None:
    refused = [body for name, body in REFUSED.items() if name not in OWN_LINES]
    denied = list(DENIALS.values())
    passed = [
        body.strip().replace(b'"id":1,', b'"id":%d,' % number)
        for number, body in enumerate(PASSED.values(), 100)
        if b"\n" not in body.strip()
    ]
    said, reached = served(tmp_path, [*refused, *denied, *passed])
    assert sorted(line for line in reached if b"tools/call" in line) == sorted(passed)
    assert not [line for line in reached if HIDDEN.encode() in line]
    answers = [json.loads(line) for line in said]
    assert sum(answer.get("result", {}).get("isError", False) for answer in answers) == len(denied)
    done = [
        answer["id"]
        for answer in answers
        if answer.get("result", {}).get("content") and "isError" not in answer["result"]
    ]
    assert len(done) == len(passed)


def asked(number: int, disguise: Callable[[bytes], bytes]) -> dict[str, Any]:
    """A request for a list, which says in its cursor how it will be answered."""
    data = disguise(json.dumps(listing(number)).encode())
    return rpc("tools/list", {"cursor": base64.b64encode(data).decode()}, number)


def test_list_in_any_disguise_comes_back_without_the_hidden_tool(tmp_path: Path) -> None:
    disguises = READABLE | UNREADABLE
    requests = [json.dumps(asked(number, disguise)).encode() for number, disguise in enumerate(disguises.values(), 100)]
    listed = [rb'"id" ?: ?%d\b' % number for number in range(100, 100 + len(READABLE))]
    said, reached = served(tmp_path, requests, [*listed, b'"last"'])
    assert HIDDEN.encode() not in b"".join(said).replace(b"\0", b"")
    assert len([line for line in reached if b"cursor" in line]) == len(requests)
    for pattern in listed:
        assert len([line for line in said if b'"pay"' in line and re.search(pattern, line)]) == 1


def test_tools_that_a_server_lends_to_a_model_are_no_list(tmp_path: Path) -> None:
    """`sampling/createMessage` has `tools` of its own among its params."""
    sampling = json.dumps(rpc("sampling/createMessage", {"tools": [{"name": HIDDEN, "inputSchema": {}}]}, "s")).encode()
    said, _ = served(tmp_path, [json.dumps(asked(100, lambda _data: sampling)).encode()], [b"sampling/createMessage"])
    assert sampling + b"\n" in said


def test_list_of_a_process_in_any_disguise_is_filtered_over_http(tmp_path: Path) -> None:
    policy, log = tmp_path / "policy.json", tmp_path / "log"
    policy.write_text(json.dumps(POLICY))
    command = ["--", sys.executable, str(SERVER), str(log)]
    with gateway.running(policy, command, tmp_path / "gateway") as running, httpx.Client(timeout=20) as client:
        headers = {**HEADERS, "authorization": f"Bearer {running.token}"}
        headers["mcp-session-id"] = client.post(running.url, json=INITIALIZE, headers=headers).headers["mcp-session-id"]
        for number, (name, disguise) in enumerate((READABLE | UNREADABLE).items()):
            patience = 20 if name in READABLE else 0.3
            try:
                received = client.post(
                    running.url, json=asked(number, disguise), headers=headers, timeout=patience
                ).content
            except httpx.ReadTimeout:
                assert name in UNREADABLE
                continue
            assert HIDDEN.encode() not in received.replace(b"\0", b"")
            assert (b'"pay"' in received) or name in UNREADABLE
        with client.stream("GET", running.url, headers={**headers, "accept": "text/event-stream"}) as response:
            notice = b'{"jsonrpc":"2.0","method":"notifications/last"}'
            with pytest.raises(httpx.ReadTimeout):
                client.post(running.url, json=asked(0, lambda _data: notice), headers=headers, timeout=0.3)
            told = b""
            for part in response.iter_raw():
                told += part
                if notice in told:
                    break
        assert HIDDEN.encode() not in told.replace(b"\0", b"")
