import json
from pathlib import Path

import pytest

from sidecar.policies import FilePolicies
from sidecar.settings.model import Policy, Server, Settings
from translator import PolicyRejected

ASKS = "Requires human approval."
TEXT = json.dumps(
    {
        "version": "1",
        "default": "deny",
        "hide": ["gone"],
        "tools": {"pay": {"deny_if": [{"conditions": [], "on_deny": ASKS}]}, "read": {}},
    }
).encode()


def policies(*, approval_map: tuple[str, ...] = (ASKS,)) -> FilePolicies:
    bound = {"p": Policy(file=Path("/policies/p.json"), approval_map=approval_map)}
    return FilePolicies(Settings(servers={"s": Server(url="http://h/mcp")}, policies=bound, state=Path("/state")))


def loaded(text: bytes = TEXT, *, approval_map: tuple[str, ...] = (ASKS,)) -> FilePolicies:
    made = policies(approval_map=approval_map)
    made.loaded(made.translate({"p": text}))
    return made


def test_policies_before_any_is_loaded_hold_none() -> None:
    assert (policies().generation, dict(policies().bundle.policies)) == (0, {})
    assert policies().files() == {"p": Path("/policies/p.json")}


def test_loaded_bundle_is_in_force_under_a_new_generation() -> None:
    made = loaded()
    first = made.bundle
    assert made.generation == 1
    made.loaded(made.translate({"p": TEXT.replace(b"gone", b"past")}))
    assert made.generation == 2
    assert made.bundle.policies["p"].revision != first.policies["p"].revision


def test_translate_bad_policy_is_rejected_and_changes_nothing() -> None:
    made = loaded()
    with pytest.raises(PolicyRejected):
        made.translate({"p": b"{}"})
    assert made.generation == 1


def test_failed_keeps_the_last_good_policy_and_says_why_until_one_is_loaded() -> None:
    made = loaded()
    good = made.bundle
    made.failed(ValueError("line 3 is odd"))
    assert (made.bundle, made.generation) == (good, 1)
    (state,) = made.states()
    assert (state.id, state.file, state.revision) == ("p", "/policies/p.json", good.policies["p"].revision)
    assert state.problem == "line 3 is odd"
    made.loaded(good)
    assert made.states()[0].problem == ""


@pytest.mark.parametrize(("tool", "starts"), [("gone", "hidden"), ("other", "denied"), ("read", "allowed")])
def test_explain_says_what_the_policy_does_with_a_tool(tool: str, starts: str) -> None:
    line = loaded().explain("p", tool)
    assert "\n" not in line
    assert line.startswith(starts)


def test_explain_follows_the_approval_map_of_its_policy() -> None:
    assert loaded(approval_map=()).explain("p", "pay").startswith("always denied")
    assert "approv" in loaded().explain("p", "pay")


def test_explain_without_policy_is_denied() -> None:
    assert loaded().explain(None, "read") == "denied: the grant has no policy"
