from typing import Any

import pytest
from pydantic import ValidationError

from sidecar.settings.auth import ClientCredentials, Credentials, OAuth
from sidecar.settings.model import Server

RULE = {"server": "s", "policy": "p"}
GOOD: dict[str, Any] = {"issuer": "https://login.example/", "jwks_url": "https://login.example/jwks", "rules": [RULE]}
CLIENT = {"token_url": "https://login.example/token", "client_id": "i", "client_secret": "s3cret"}


def test_oauth_defaults_are_narrow_and_the_issuer_is_kept_to_the_letter() -> None:
    made = OAuth.model_validate({**GOOD, "public_url": "https://gate.example/"})
    assert made.issuer == "https://login.example/"
    assert made.public_url == "https://gate.example"
    assert made.algorithms == ("RS256", "ES256")


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "none", "None", "", "rs256", "ES256K"])
def test_oauth_algorithm_of_a_shared_secret_or_none_cannot_be_set(algorithm: str) -> None:
    with pytest.raises(ValidationError):
        OAuth.model_validate({**GOOD, "algorithms": [algorithm]})


@pytest.mark.parametrize("name", ["issuer", "jwks_url"])
@pytest.mark.parametrize(
    "url",
    [
        "http://login.example",
        "http://localhost.example",
        "ftp://login.example",
        "login.example",
        "https://",
        "https://a:b@login.example",
        "https://login.example/#x",
        'https://login.example/"',
        "https://login.example/\r\nEvil: 1",
        "https://lögin.example",
        "https://[login",
        "https://login.example:0/",
    ],
)
def test_oauth_url_that_could_be_read_or_bent_on_its_way_is_refused(name: str, url: str) -> None:
    with pytest.raises(ValidationError):
        OAuth.model_validate({**GOOD, name: url})


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]/x", "https://h/x?y=z"])
def test_oauth_url_on_this_machine_may_be_plain(url: str) -> None:
    assert OAuth.model_validate({**GOOD, "jwks_url": url}).jwks_url == url


@pytest.mark.parametrize(
    "changes",
    [
        {"rules": []},
        {"algorithms": []},
        {"refresh_s": 1},
        {"public_url": "https://gate.example/?x"},
        {"rules": [{**RULE, "scope": ["a b"]}]},
        {"rules": [{**RULE, "scope": ['a"b']}]},
        {"rules": [{**RULE, "grant": "oauth:s:alice"}]},
        {"rules": [{**RULE, "claims": {"a": 1.5}}]},
        {"rules": [{**RULE, "claims": {"a": {"b": "c"}}}]},
        {"rules": [{"server": "s"}]},
        {"unknown": 1},
    ],
)
def test_oauth_settings_that_are_wrong_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OAuth.model_validate({**GOOD, **changes})


def test_rule_claims_keep_their_types() -> None:
    claims = {"a": True, "b": 1, "c": "1", "d": ["x", False]}
    (rule,) = OAuth.model_validate({**GOOD, "rules": [{**RULE, "claims": claims}]}).rules
    assert repr(rule.claims) == "{'a': True, 'b': 1, 'c': '1', 'd': ('x', False)}"


def test_client_secret_is_not_shown() -> None:
    made = Credentials(oauth=ClientCredentials.model_validate(CLIENT))
    assert "s3cret" not in repr(made)
    with pytest.raises(ValidationError):
        ClientCredentials.model_validate({**CLIENT, "token_url": "http://login.example/token"})


@pytest.mark.parametrize("header", ["Host", "content-length", "Mcp-Session-Id", "a b", "a\r\nb", ""])
def test_credentials_in_a_header_of_the_gateways_own_are_refused(header: str) -> None:
    with pytest.raises(ValidationError):
        Server.model_validate({"url": "https://h", "credentials": {"env": "X", "header": header}})
