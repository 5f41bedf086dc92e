from typing import Any

import pytest

from sidecar.settings.conflicts import conflicts

WEB = {"url": "https://h"}
OAUTH: dict[str, Any] = {"issuer": "https://l", "jwks_url": "https://l/j", "rules": []}


def told(**given: Any) -> list[str]:
    found = conflicts({"servers": {"web": WEB, "git": {"command": ["x"]}}, "policies": {"p": {}}, **given})
    return [f"{'.'.join(map(str, one.way))}: {one.message}" for one in found]


def oauth(*rules: Any, **changes: Any) -> list[str]:
    grants = {"ci": {"server": "web", "policy": "p", "token_env": "T"}}
    return told(oauth={**OAUTH, "rules": list(rules), **changes}, grants=grants)


def test_settings_in_accord_are_not_mentioned() -> None:
    rule = {"server": "web", "policy": "p", "grant": "team"}
    assert oauth(rule, {**rule, "policy": None}, {"server": "git", "policy": "p"}) == []
    assert told(servers={"web": {**WEB, "headers": {"X": "y"}, "credentials": {"env": "X"}}}) == []


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([{"server": "wep", "policy": "p"}], "oauth.rules.0.server: there is no server of that name"),
        ([{"server": "web", "policy": "q"}], "oauth.rules.0.policy: there is no policy of that name"),
        ([{"server": "web", "policy": "p", "grant": "ci"}], "oauth.rules.0.grant: there is another grant of that id"),
        (
            [{"server": "web", "policy": "p", "grant": "t"}, {"server": "git", "policy": "p", "grant": "t"}],
            "oauth.rules.1.grant: there is another grant of that id",
        ),
    ],
)
def test_rules_of_what_is_not_there_or_there_already_are_told(rules: list[Any], message: str) -> None:
    assert oauth(*rules) == [message]


@pytest.mark.parametrize("changes", [{"jwks_url": None}, {"jwks_file": "x"}])
def test_keys_from_nowhere_or_two_places_are_told(changes: dict[str, Any]) -> None:
    assert oauth(**changes) == ["oauth: must have one of jwks_url and jwks_file"]


@pytest.mark.parametrize("odd", [5, "x", [], {"rules": 5}, {"rules": [5, None]}])
def test_what_is_of_the_wrong_type_is_left_to_others(odd: Any) -> None:
    assert all("must have one of" in line for line in told(oauth=odd))


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ({**WEB, "credentials": {}}, "servers.s.credentials: must have one of env, file, command and oauth"),
        (
            {**WEB, "credentials": {"env": "X", "file": "y"}},
            "servers.s.credentials: must have one of env, file, command and oauth",
        ),
        (
            {**WEB, "headers": {"authorization": "x"}, "credentials": {"env": "X"}},
            "servers.s.credentials: are sent in a header that headers sets as well",
        ),
        (
            {"command": ["x"], "credentials": {"env": "X"}},
            "servers.s.credentials: are sent to a url; a command takes env",
        ),
    ],
)
def test_credentials_that_cannot_be_sent_are_told(server: Any, message: str) -> None:
    assert told(servers={"s": server}) == [message]


GRANT = {"g": {"server": "web", "policy": "elsewhere", "token_env": "T"}}


@pytest.mark.parametrize("source", [{"bundle": {"url": "file:///b"}}, {"policy_dir": {"path": "d"}}])
def test_policies_of_a_folder_or_a_bundle_are_not_known_by_name(source: dict[str, Any]) -> None:
    assert told(policies={}, grants=GRANT, **source) == []
    assert told(grants=GRANT, **source) == [f"{next(iter(source))}: excludes policies"]


def test_policies_of_an_opa_of_somebody_else_are_known_by_their_revisions() -> None:
    opa = {"url": "https://opa", "revisions": {"elsewhere": "sha256:0"}}
    assert told(policies={}, grants=GRANT, opa=opa) == []
    assert told(opa=opa) == ["opa.revisions: excludes policies"]


@pytest.mark.parametrize(
    ("opa", "message"),
    [
        ({"token": "t"}, "opa.token: is for an OPA of somebody else: url is missing"),
        ({"ca_file": "c"}, "opa.ca_file: is for an OPA of somebody else: url is missing"),
        ({"url": "https://opa", "binary": "opa"}, "opa.binary: is not started when url is set"),
    ],
)
def test_opa_that_is_neither_ours_nor_another_s_is_told(opa: dict[str, Any], message: str) -> None:
    assert told(opa=opa) == [message]
