from typing import Any

import pytest

from sidecar.errors import InsufficientScope, UnknownGrant, WrongServer
from sidecar.grants.rules import Rule, Rules
from sidecar.ports import Grant

ALICE = {"sub": "alice"}


def rule(**changes: Any) -> Rule:
    whole: dict[str, Any] = {
        "server": "s",
        "policy": "p",
        "claims": {},
        "scope": frozenset(),
        "grant": None,
        "id_claim": "sub",
    }
    return Rule(**{**whole, **changes})


def test_grant_of_a_subject_is_its_own_for_each_server() -> None:
    rules = Rules([rule(), rule(server="t", policy=None)])
    assert rules.grant(ALICE, "s") == Grant("oauth:s:alice", "s", "p")
    assert rules.grant(ALICE, "t") == Grant("oauth:t:alice", "t", None)


def test_grant_may_be_one_for_all_or_told_by_another_claim() -> None:
    assert Rules([rule(grant="team")]).grant({}, "s").id == "team"
    assert Rules([rule(id_claim="client.id")]).grant({"client": {"id": "c"}}, "s").id == "oauth:s:c"


def test_grant_has_the_options_of_its_rule() -> None:
    bound = rule(list="callable", policed_methods="all", hidden_calls="unknown", approval="wait")
    assert Rules([bound]).grant(ALICE, "s") == Grant("oauth:s:alice", "s", "p", "callable", "all", "unknown", "wait")


@pytest.mark.parametrize("sub", [None, "", 5, True, ["alice"], "a" * 256, "a\nb", "a\x00", "\u202ealice"])
def test_grant_of_an_odd_subject_is_refused(sub: Any) -> None:
    with pytest.raises(UnknownGrant):
        Rules([rule()]).grant({"sub": sub}, "s")


def test_grant_first_rule_that_fits_counts() -> None:
    rules = Rules([rule(policy="admin", claims={"groups": ["admins"]}), rule(policy="user")])
    assert rules.grant({**ALICE, "groups": ["admins", "users"]}, "s").policy == "admin"
    assert rules.grant({**ALICE, "groups": ["users"]}, "s").policy == "user"


@pytest.mark.parametrize(
    ("claims", "wanted"),
    [
        ({"g": "a"}, {"g": ["a"]}),
        ({"g": ["b", "a"]}, {"g": ["a"]}),
        ({"g": "b"}, {"g": ["a", "b"]}),
        ({"g": True}, {"g": [True]}),
        ({"g": 1}, {"g": [1]}),
        ({"https://x.example/g": "a"}, {"https://x.example/g": ["a"]}),
        ({"realm": {"roles": ["a"]}}, {"realm.roles": ["a"]}),
        ({"g": "a", "h": "b"}, {"g": ["a"], "h": ["b"]}),
    ],
)
def test_grant_claims_that_fit(claims: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert Rules([rule(claims=wanted)]).grant({**ALICE, **claims}, "s")


@pytest.mark.parametrize(
    ("claims", "wanted"),
    [
        ({}, {"g": ["a"]}),
        ({"g": "A"}, {"g": ["a"]}),
        ({"g": "a b"}, {"g": ["a"]}),
        ({"g": True}, {"g": [1]}),
        ({"g": 1}, {"g": [True]}),
        ({"g": 1.0}, {"g": [1]}),
        ({"g": "1"}, {"g": [1]}),
        ({"g": None}, {"g": ["None"]}),
        ({"g": {"a": 1}}, {"g": ["a"]}),
        ({"g": [["a"]]}, {"g": ["a"]}),
        ({"realm": "roles"}, {"realm.roles": ["a"]}),
        ({"g": "a", "h": "c"}, {"g": ["a"], "h": ["b"]}),
        ({"g": "a"}, {"g": []}),
    ],
)
def test_grant_claims_that_do_not_fit_give_no_right(claims: dict[str, Any], wanted: dict[str, Any]) -> None:
    with pytest.raises(WrongServer) as refused:
        Rules([rule(claims=wanted)]).grant({**ALICE, **claims}, "s")
    assert refused.value.http_status == 403


@pytest.mark.parametrize(
    "claims",
    [{"scope": "read write"}, {"scp": ["write", "read"]}, {"scp": "read write"}, {"scope": "read", "scp": "write"}],
)
def test_grant_scopes_are_read_however_they_are_written(claims: dict[str, Any]) -> None:
    assert Rules([rule(scope=frozenset(["read", "write"]))]).grant({**ALICE, **claims}, "s")


@pytest.mark.parametrize("claims", [{}, {"scope": "read"}, {"scope": "readwrite"}, {"scope": 5}, {"scp": [5]}])
def test_grant_that_lacks_a_scope_says_which_would_do(claims: dict[str, Any]) -> None:
    rules = Rules([rule(scope=frozenset(["admin"]), claims={"g": ["a"]}), rule(scope=frozenset(["write", "read"]))])
    with pytest.raises(InsufficientScope) as refused:
        rules.grant({**ALICE, **claims}, "s")
    assert (refused.value.http_status, refused.value.scope) == (403, ("read", "write"))


def test_grant_for_a_server_without_rules_gives_no_right() -> None:
    with pytest.raises(WrongServer):
        Rules([rule()]).grant(ALICE, "other")


def test_scope_to_ask_for_is_that_of_the_last_rule() -> None:
    rules = Rules([rule(scope=frozenset(["write"])), rule(scope=frozenset(["read"])), rule(server="t")])
    assert rules.scope("s") == {"read"}
    assert rules.scope("none") == frozenset()
