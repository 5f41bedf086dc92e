import json
from pathlib import Path

import pytest

import translator

EXAMPLES = Path(translator.__file__).parents[1] / "examples"
POLICIES = sorted(EXAMPLES.rglob("policy.json"))
HUMAN = ("Requires human approval.",)
GIT_TOOLS = (
    *("git_status", "git_diff_unstaged", "git_diff_staged", "git_diff", "git_commit", "git_add", "git_reset"),
    *("git_log", "git_create_branch", "git_checkout", "git_show", "git_branch"),
)


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.parent.name)
def test_example_policy_is_translated_without_a_problem(path: Path) -> None:
    assert translator.translate({"example": path.read_bytes()}, approval_map=HUMAN).policies.keys() == {"example"}


def test_example_policies_are_the_git_one_and_six_seeds() -> None:
    assert [path.parent.name for path in POLICIES] == [
        "git",
        "bybit-merged",
        "bybit-wsBatchAmendOrders",
        "bybit-wsBatchCancelOrders",
        "bybit-wsBatchCreateOrders",
        "bybit-wsCancelOrder",
        "ccxt-cancel_order",
    ]


def test_git_policy_names_tools_of_the_server_only() -> None:
    policy = json.loads((EXAMPLES / "git" / "policy.json").read_bytes())
    named = {*policy["hide"], *policy["tools"]}
    assert named < set(GIT_TOOLS)


@pytest.mark.parametrize("path", POLICIES[1:], ids=lambda path: path.parent.name)
def test_seed_policy_names_tools_of_its_catalogue_only(path: Path) -> None:
    policy = json.loads(path.read_bytes())
    catalogue = EXAMPLES / "catalogue" / f"{path.parent.name.partition('-')[0]}-tools.json"
    listed = {tool["name"] for tool in json.loads(catalogue.read_bytes())["tools"]}
    assert {*policy.get("hide", ()), *policy.get("tools", {})} <= listed
