import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import sidecar
from sidecar import statedir
from tests.answering import answering

Regate = Callable[..., Any]

DOCUMENT: dict[str, Any] = {
    "ready": True,
    "reasons": [],
    "version": sidecar.__version__,
    "pid": 7,
    "url": "http://127.0.0.1:8700",
    "up_s": 90,
    "tls": None,
    "servers": [
        {"name": "git", "transport": "stdio", "problem": ""},
        {"name": "web", "transport": "http", "problem": "does not answer"},
    ],
    "policies": [
        {"id": "p", "file": "p.json", "revision": "sha256:1", "held": "sha256:1", "problem": ""},
        {"id": "q", "file": "q.json", "revision": None, "held": None, "problem": "line 1 is wrong"},
    ],
    "bundle": None,
    "opa": {"answers": True, "binary": "/opa", "restarts": 2},
    "store": {"folder": "/state", "writable": True, "problem": "", "audit": True},
    "calls": {
        "allowed": 3,
        "denied": 2,
        "denied_by": {"hidden": 1, "limits": 1},
        "refused": 1,
        "upstream_failures": 0,
        "decisions": 5,
        "decision_ms": {"mean": 0.4, "max": 1.2},
    },
}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Callable[[int, bytes], None]]:
    """Has a gateway run on the state directory that answers an operator with this status and body."""
    answers: list[tuple[int, bytes]] = []
    token = statedir.operator_token(tmp_path / "state")

    def answer(path: str, authorization: str | None) -> tuple[int, bytes]:
        return answers[0] if path == "/status" and authorization == f"Bearer {token}" else (404, b"")

    with ExitStack() as stack:
        url = answering(stack, answer)

        def announce(status: int, body: bytes) -> None:
            answers.append((status, body))
            note = statedir.Gateway(url, os.getpid())
            stack.enter_context(statedir.announced(tmp_path / "state", note))

        yield announce


def test_status_prints_what_the_gateway_says(regate: Regate, gateway: Callable[[int, bytes], None]) -> None:
    gateway(200, json.dumps(DOCUMENT).encode())
    done = regate("status")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"regate {sidecar.__version__} at http://127.0.0.1:8700, process 7, up 90 s: ready",
        "  server  git (stdio)",
        "  server  web (http); does not answer",
        "  policy  p sha256:1 in force, from p.json",
        "  policy  q - NOT in force, from q.json",
        "    its file as it is now is not in force: line 1 is wrong",
        "  opa     answers, 2 restarts, /opa",
        "  store   writable, /state",
        "  calls   3 allowed, 2 denied (1 hidden, 1 limits), 1 refused, 0 failed upstream",
        "  took    0.4 ms for a decision on average, 1.2 ms at most",
    ]


def test_status_of_a_gateway_that_is_not_ready_is_exit_1(regate: Regate, gateway: Callable[[int, bytes], None]) -> None:
    ill = {
        "ready": False,
        "reasons": ["OPA does not answer", "the audit log cannot be written"],
        "opa": {"answers": False, "binary": "/opa", "restarts": 0},
        "store": {"folder": "/state", "writable": False, "problem": "full", "audit": False},
    }
    gateway(200, json.dumps(DOCUMENT | ill).encode())
    done = regate("status")
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[0].endswith(": NOT READY: OPA does not answer; the audit log cannot be written")
    assert "  opa     DOES NOT ANSWER, 0 restarts, /opa" in lines
    assert "  store   NOT WRITABLE, /state; full, AUDIT LOG CANNOT BE WRITTEN" in lines


@pytest.mark.parametrize(("problem", "told"), [("", ""), ("no pair", "; no pair")])
def test_status_tells_how_long_the_certificate_is_good(
    problem: str, told: str, regate: Regate, gateway: Callable[[int, bytes], None]
) -> None:
    tls = {"expires_at": "2027-01-01T00:00:00+00:00", "problem": problem}
    gateway(200, json.dumps(DOCUMENT | {"tls": tls}).encode())
    assert f"  tls     certificate until 2027-01-01T00:00:00+00:00{told}" in regate("status").out.splitlines()


def test_status_as_json_is_what_the_gateway_says(regate: Regate, gateway: Callable[[int, bytes], None]) -> None:
    gateway(200, json.dumps(DOCUMENT).encode())
    assert json.loads(regate("status", "--format", "json").out) == [DOCUMENT]


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, b"{}", "does not tell its status"),
        (200, b"{", "does not tell its status"),
        (200, b"[]", "does not tell its status"),
        (200, b'{"version": "0.0.0"}', "is of another version"),
    ],
)
def test_status_of_what_is_no_gateway_of_ours_is_told(
    status: int, body: bytes, message: str, regate: Regate, gateway: Callable[[int, bytes], None]
) -> None:
    gateway(status, body)
    done = regate("status")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"regate: the gateway with process id {os.getpid()} {message}")


def test_status_where_nobody_listens_is_told(regate: Regate, tmp_path: Path) -> None:
    with statedir.announced(tmp_path / "state", statedir.Gateway("http://127.0.0.1:9", os.getpid())):
        done = regate("status")
    assert (done.code, done.out) == (1, "")
    assert "does not tell its status" in done.err


def test_status_tells_of_the_bundle(regate: Regate, gateway: Callable[[int, bytes], None]) -> None:
    bundle = {
        "source": "https://h/b",
        "revision": "library:1,policies:2",
        "serial": 7,
        "commit": "0b1c",
        "age_s": 12,
        "max_policy_age_s": 60,
        "problem": "https://h/b: no answer",
        "in_force": True,
    }
    gateway(200, json.dumps(DOCUMENT | {"bundle": bundle}).encode())
    assert (
        "  bundle  library:1,policies:2, serial 7, commit 0b1c in force, confirmed 12 s ago (at most 60 s), from https://h/b\n"
        "    what the source has now is not in force: https://h/b: no answer\n"
    ) in regate("status").out


def test_status_of_a_gateway_without_any_bundle(regate: Regate, gateway: Callable[[int, bytes], None]) -> None:
    bundle = {
        "source": "https://h/b",
        "revision": None,
        "serial": None,
        "commit": "",
        "age_s": None,
        "max_policy_age_s": None,
        "problem": "",
        "in_force": False,
    }
    gateway(200, json.dumps(DOCUMENT | {"bundle": bundle}).encode())
    told = regate("status").out
    assert "  bundle  - NOT in force, never confirmed, from https://h/b\n" in told
    policies = [line for line in told.splitlines() if line.startswith("  policy ")]
    assert policies
    assert all(" NOT in force" in line for line in policies)
