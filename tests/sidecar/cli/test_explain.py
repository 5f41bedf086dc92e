import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli import inforce
from sidecar.cli.inforce import InForce
from translator import translate

Regate = Callable[..., Any]

POLICY = json.dumps(
    {
        "version": "1",
        "default": "deny",
        "tools": {
            "pay\u001b[2J": {
                "deny_if": [{"path": "args.amount", "op": "gt", "value": 500, "on_deny": "Too much."}],
                "limits": [{"counter": "spent", "window": "day", "max": 900, "increment_from": "args.amount"}],
            }
        },
    }
)
CALL = json.dumps({"tool": "pay\u001b[2J", "arguments": {"amount": 501}, "at": "2026-11-20T10:00:00Z"})
RULE = "/tools/pay\\u001b[2J/deny_if/args.amount-gt"


@pytest.fixture(autouse=True)
def files(regate: Regate, opa_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGATE_OPA", str(opa_path))
    Path("p.json").write_text(POLICY, encoding="utf-8")
    Path("call.json").write_text(CALL, encoding="utf-8")


def test_explain_tells_rules_values_counters_and_what_would_pass(regate: Regate) -> None:
    done = regate("explain", "p.json", "call.json")
    revision = translate({"p": POLICY.encode()}).policies["p"].revision
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        f'"pay\\u001b[2J" is denied under policy p {revision}',
        f"  rule     {RULE}",
        "  message  Too much.",
        "rules, in order",
        f"  fires        {RULE}   <- decides",
        "               args.amount > 500: true; found 501",
        "  fits         /tools/pay\\u001b[2J/limits/spent",
        "counters",
        '  "spent" per day and grant: takes 501, stands at 0 of 900 until 2026-11-21T00:00:00Z',
        "would pass with",
        '  args.amount ≤ 500   {"amount":500}',
    ]


def test_explain_for_programs_is_one_document(regate: Regate) -> None:
    done = regate("explain", "p.json", "call.json", "--format", "json")
    found = json.loads(done.out)
    assert (done.code, found["outcome"], found["message"]) == (0, "deny", "Too much.")
    assert [(rule["verdict"], rule["decides"]) for rule in found["rules"]] == [("fires", True), ("fits", False)]
    assert found["rules"][0]["conditions"] == [{"condition": "args.amount > 500", "result": "true", "found": ["501"]}]
    assert found["would_pass"][0] == {"changes": ["args.amount ≤ 500"], "arguments": {"amount": 500}}


def test_explain_of_a_bad_policy_tells_its_problems(regate: Regate) -> None:
    Path("p.json").write_text('{"version": "1"}', encoding="utf-8")
    done = regate("explain", "p.json", "call.json")
    assert done.code == 1
    assert done.out.startswith("p.json:1:1:")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent.json", "call.json"], "absent.json is no file"),
        (["p.json", "absent.json"], "does not exist"),
        (["p.json", "p.json"], "p.json: it holds no call"),
        (["p", "call.json", "--gateway", "http://x", "--approval-map", "a"], "exclude each other"),
    ],
)
def test_explain_called_wrongly_says_how(regate: Regate, arguments: list[str], said: str) -> None:
    done = regate("explain", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_explain_without_a_gateway_to_ask_cannot_decide(regate: Regate) -> None:
    done = regate("explain", "p", "call.json", "--gateway", "http://127.0.0.1:8700")
    assert (done.code, done.out) == (3, "")
    assert "No gateway at http://127.0.0.1:8700 runs on the state directory" in done.err


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, dict[str, str]], None]:
    """Has a gateway hold the policy at a revision, with these grants under it; its counters stand at 800."""

    def hold(revision: str, grants: dict[str, str]) -> None:
        held = InForce(revision, POLICY.encode(), (), grants)
        monkeypatch.setattr(inforce, "policy", lambda url, state, policy: held)
        monkeypatch.setattr(inforce, "standing", lambda state, asked: [Decimal(800) for _ in asked])

    return hold


def test_explain_of_a_gateway_knows_its_one_grant(regate: Regate, gateway: Callable[..., None]) -> None:
    gateway(translate({"p": POLICY.encode()}).policies["p"].revision, {"g": "s"})
    Path("call.json").write_text(CALL.replace("501", "101"), encoding="utf-8")
    found = json.loads(regate("explain", "p.json", "call.json", "--gateway", "u", "--format", "json").out)
    assert (found["outcome"], found["counters"][0]["stands_at"]) == ("deny", 800)
    assert found["would_pass"][0]["arguments"] == {"amount": 100}


def test_explain_of_a_gateway_with_several_grants_wants_to_know_which(
    regate: Regate, gateway: Callable[..., None]
) -> None:
    gateway(translate({"p": POLICY.encode()}).policies["p"].revision, {"g": "s", "h": "s"})
    done = regate("explain", "p", "call.json", "--gateway", "u")
    assert (done.code, done.err.count("must be one under this policy: g, h")) == (2, 1)
    Path("call.json").write_text(CALL.replace('"at"', '"grant": "h", "at"'), encoding="utf-8")
    assert regate("explain", "p", "call.json", "--gateway", "u").code == 0


def test_explain_of_a_gateway_with_another_library_cannot_decide(regate: Regate, gateway: Callable[..., None]) -> None:
    gateway("sha256:0", {"g": "s"})
    done = regate("explain", "p", "call.json", "--gateway", "u")
    assert (done.code, "was made from another library" in done.err) == (3, True)
