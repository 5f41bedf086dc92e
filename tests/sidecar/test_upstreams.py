from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import SettingsError, SidecarError
from sidecar.ports import Outgoing
from sidecar.settings.model import Settings
from sidecar.upstream.stdio import StdioUpstream
from sidecar.upstreams import conversations, made_upstream, secret_variables
from tests.authorization import CLIENT, GuardedServer, authorization_server, guarded_server

PING = Outgoing(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}', "ping", 1, ((b"authorization", b"Bearer client"),))


@pytest.fixture
def guarded() -> Iterator[GuardedServer]:
    with guarded_server() as server:
        yield server


async def status(server: GuardedServer, **members: Any) -> int:
    settings = Settings.model_validate({"servers": {"s": {"url": server.url + "/mcp", **members}}})
    warned: list[SidecarError] = []
    upstream = made_upstream("s", settings.servers["s"], settings, warned.append, sole_client=False)
    try:
        return (await upstream.send(PING)).status
    finally:
        await upstream.close()


async def test_upstream_headers_and_credentials_are_shown_together(
    guarded: GuardedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n", encoding="ascii")
    monkeypatch.setenv("HELD", "from-variable")
    for source, token in (
        ({"file": str(file)}, "from-file"),
        ({"env": "HELD"}, "from-variable"),
        ({"command": ["sh", "-c", "echo printed"]}, "printed"),
    ):
        guarded.token = f"Bearer {token}"
        assert await status(guarded, credentials=source, headers={"X-Tenant": "acme"}) == 200
    guarded.token, guarded.header = "from-file", "x-api-key"
    assert await status(guarded, credentials={"file": str(file), "header": "X-Api-Key"}) == 200
    guarded.header = "authorization"
    assert await status(guarded, headers={"Authorization": "from-file"}) == 200
    assert not any("client" in (shown or "") for shown in guarded.shown)


@pytest.mark.parametrize("client_auth", ["basic", "post"])
async def test_upstream_client_credentials_are_got_and_shown(guarded: GuardedServer, client_auth: str) -> None:
    with authorization_server() as login:
        guarded.token = "Bearer minted-0-token"
        oauth = {
            "token_url": login.url + "/token",
            "client_id": CLIENT[0],
            "client_secret": CLIENT[1].replace("ä", "ae"),
            "client_auth": client_auth,
        }
        assert await status(guarded, credentials={"oauth": {**oauth, "client_secret": CLIENT[1]}}) == 200


async def test_upstream_secret_that_is_missing_is_told(guarded: GuardedServer) -> None:
    with pytest.raises(SettingsError, match="UNSET"):
        await status(guarded, headers={"X": {"env": "UNSET"}})


async def test_upstream_command_gets_none_of_our_secrets() -> None:
    servers = {
        "a": {"url": "http://h", "headers": {"X": {"env": "A"}, "Y": "z"}, "credentials": {"env": "B"}},
        "b": {
            "url": "http://h",
            "credentials": {
                "oauth": {"token_url": "https://h", "client_id": "i", "client_secret": {"env": "C"}},
            },
        },
        "c": {"command": ["x"]},
    }
    grants = {"g": {"server": "a", "policy": None, "token_env": "D"}}
    settings = Settings.model_validate({"servers": servers, "grants": grants})
    assert secret_variables(settings) == {"A", "B", "C", "D"}
    made = made_upstream("c", settings.servers["c"], settings, lambda _: None, sole_client=True)
    assert isinstance(made, StdioUpstream)
    await made.close()


async def test_conversations_are_counted_behind_whatever_wraps_them() -> None:
    for server in (
        {"url": "http://127.0.0.1:9/mcp"},
        {"url": "http://127.0.0.1:9/mcp", "transport": "http"},
        {"url": "http://127.0.0.1:9/sse", "transport": "sse", "credentials": {"file": "token"}},
        {"command": ["true"]},
    ):
        settings = Settings.model_validate({"servers": {"a": server}})
        upstream = made_upstream("a", settings.servers["a"], settings, lambda _: None, sole_client=False)
        assert conversations(upstream) == 0
        await upstream.close()
