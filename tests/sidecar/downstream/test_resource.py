"""Source: RFC 6750 section 3, RFC 9728 sections 2 to 5; mcp-gateway.md G49."""

import json

import pytest

from sidecar.downstream.resource import ProtectedResources
from sidecar.errors import GrantError, InsufficientScope, KeysUnavailable, NoToken, UnknownGrant, WrongServer

MADE = ProtectedResources(
    "https://gate.example/base", "https://login.example", {"/mcp/a": ("read", "write"), "/mcp/b": ()}
)
METADATA = "https://gate.example/base/.well-known/oauth-protected-resource"


@pytest.mark.parametrize(
    ("path", "error", "challenge"),
    [
        ("/mcp/b", NoToken("x"), f'Bearer resource_metadata="{METADATA}/mcp/b"'),
        ("/mcp/a", NoToken("x"), f'Bearer resource_metadata="{METADATA}/mcp/a", scope="read write"'),
        ("/mcp/b", UnknownGrant("x"), f'Bearer error="invalid_token", resource_metadata="{METADATA}/mcp/b"'),
        (
            "/mcp/b",
            InsufficientScope("x", ["z", "y"]),
            f'Bearer error="insufficient_scope", resource_metadata="{METADATA}/mcp/b", scope="y z"',
        ),
    ],
)
def test_challenge_tells_where_a_better_token_is_had(path: str, error: GrantError, challenge: str) -> None:
    assert MADE.challenge(path, error) == ((b"www-authenticate", challenge.encode()),)


@pytest.mark.parametrize("error", [WrongServer("x"), KeysUnavailable("x")])
def test_challenge_is_none_where_no_token_would_help(error: GrantError) -> None:
    assert MADE.challenge("/mcp/a", error) == ()
    assert ProtectedResources().challenge("/mcp/a", error) == ()


@pytest.mark.parametrize("error", [NoToken("x"), UnknownGrant("x")])
def test_challenge_without_an_authorization_server_names_none(error: GrantError) -> None:
    assert ProtectedResources().challenge("/mcp/a", error) == ((b"www-authenticate", b"Bearer"),)


def test_documents_describe_each_endpoint_by_its_own_url() -> None:
    documents = {path: json.loads(text) for path, text in MADE.documents().items()}
    assert list(documents) == [
        "/.well-known/oauth-protected-resource/mcp/a",
        "/.well-known/oauth-protected-resource/mcp/b",
    ]
    assert documents["/.well-known/oauth-protected-resource/mcp/a"] == {
        "resource": "https://gate.example/base/mcp/a",
        "authorization_servers": ["https://login.example"],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["read", "write"],
    }
    assert ProtectedResources().documents() == {}
