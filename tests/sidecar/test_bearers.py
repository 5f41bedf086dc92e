"""With an authorization server on a socket."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.bearers import accepted
from sidecar.errors import KeysUnavailable, SettingsError, SidecarError, UnknownGrant, WrongServer
from sidecar.settings.auth import OAuth
from tests.authorization import AuthorizationServer, authorization_server

DOORS = {"/mcp/a": "a", "/mcp/b": "b"}
BASE = "http://127.0.0.1:8700"


@pytest.fixture
def login() -> Iterator[AuthorizationServer]:
    with authorization_server() as server:
        yield server


def oauth(login: AuthorizationServer, **changes: Any) -> OAuth:
    rules = [
        {"server": "a", "policy": "p", "claims": {"admin": True}, "scope": ["write"]},
        {"server": "a", "policy": "q", "claims": {"groups": ["x", "y"]}, "grant": "team"},
        {"server": "b", "policy": None, "id_claim": "client_id"},
    ]
    given = {"issuer": login.issuer, "jwks_url": login.url + "/jwks", "rules": rules, **changes}
    return OAuth.model_validate({name: value for name, value in given.items() if value is not None})


async def test_accepted_without_oauth_are_no_tokens() -> None:
    async with accepted(None, DOORS, BASE, lambda _: None) as none:
        assert none.bearers is None
        assert none.resources.documents() == {}


async def test_accepted_tokens_have_the_grants_of_the_rules(login: AuthorizationServer) -> None:
    async with accepted(oauth(login), DOORS, BASE, lambda _: None) as taken:
        assert taken.bearers is not None
        first = login.token(aud=BASE + "/mcp/a", admin=True, scope="write").encode()
        second = login.token(aud=BASE + "/mcp/a", groups=["y"]).encode()
        third = login.token(aud=BASE + "/mcp/b", client_id="c").encode()
        found = [taken.bearers.resolve(first, "a"), taken.bearers.resolve(second, "a")]
        assert [(grant.id, grant.policy) for grant in found] == [("oauth:a:alice", "p"), ("team", "q")]
        assert taken.bearers.resolve(third, "b").id == "oauth:b:c"
        with pytest.raises(WrongServer):
            taken.bearers.resolve(third, "a")
        assert set(taken.resources.scopes.items()) == {("/mcp/a", ()), ("/mcp/b", ())}


async def test_accepted_audience_is_the_one_that_is_set_or_any_door_of_the_server(login: AuthorizationServer) -> None:
    named = oauth(login, audience=["gate", "gate2"])
    async with accepted(named, DOORS, BASE, lambda _: None) as taken:
        assert taken.bearers is not None
        assert taken.bearers.resolve(login.token(aud="gate2", client_id="c").encode(), "b")
        with pytest.raises(UnknownGrant):
            taken.bearers.resolve(login.token(aud=BASE + "/mcp/b", client_id="c").encode(), "b")
    public = oauth(login, public_url="https://gate.example/")
    async with accepted(public, {"/mcp/b": "b", "/mcp": "b"}, BASE, lambda _: None) as taken:
        assert taken.bearers is not None
        for path in ("/mcp", "/mcp/b"):
            token = login.token(aud="https://gate.example" + path, client_id="c").encode()
            assert taken.bearers.resolve(token, "b")
            document = taken.resources.documents()["/.well-known/oauth-protected-resource" + path]
            assert json.loads(document)["resource"] == "https://gate.example" + path


async def test_accepted_keys_may_be_in_a_file(login: AuthorizationServer, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(login.jwks())
    async with accepted(oauth(login, jwks_url=None, jwks_file=file), DOORS, BASE, lambda _: None) as taken:
        assert taken.bearers is not None
        assert taken.bearers.resolve(login.token(aud=BASE + "/mcp/b", client_id="c").encode(), "b")
    assert login.asked == []


@pytest.mark.parametrize("text", [None, "", "{}", '{"keys": []}'])
async def test_accepted_file_without_keys_keeps_the_gateway_from_starting(
    login: AuthorizationServer, tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "jwks.json"
    if text is not None:
        file.write_text(text, encoding="ascii")
    with pytest.raises(SettingsError, match="holds no keys that can be used"):
        async with accepted(oauth(login, jwks_url=None, jwks_file=file), DOORS, BASE, lambda _: None):
            pass


@pytest.mark.parametrize("status", [0, 302, 404, 500])
async def test_accepted_keys_that_do_not_answer_refuse_tokens_and_are_told(
    login: AuthorizationServer, status: int
) -> None:
    login.status = status or 200
    settings = oauth(login, jwks_url="http://127.0.0.1:1/jwks") if status == 0 else oauth(login)
    warned: list[SidecarError] = []
    async with accepted(settings, DOORS, BASE, warned.append) as taken:
        assert taken.bearers is not None
        with pytest.raises(KeysUnavailable):
            taken.bearers.resolve(login.token(aud=BASE + "/mcp/b").encode(), "b")
    assert "oauth.jwks_url" in str(warned[0])
