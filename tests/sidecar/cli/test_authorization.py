"""A whole gateway between an authorization server, clients with its tokens, and a server that wants a token itself.

Source: mcp-gateway.md G48–G51; RFC 6750, RFC 9728.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import jwt
import pytest
from mcp.client import Client
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client

import sidecar
from tests.authorization import (
    CLIENT,
    RSA,
    AuthorizationServer,
    GuardedServer,
    authorization_server,
    guarded_server,
    jwk,
)

START_S = 60.0
POLICY = '{"version": "1", "default": "deny", "hide": ["drop"], "tools": {"add": {}}}'
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "add", "arguments": {"x": 1}}}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    },
}
CONFIG = """\
servers:
  web:
    url: {upstream}/mcp
    credentials:
      oauth:
        token_url: {login}/token
        client_id: {client}
        client_secret: {{env: UPSTREAM_SECRET}}
        scope: [tools]
  bare:
    url: {upstream}/mcp
policies:
  careful: {{file: policy.json}}
grants:
  ci: {{server: web, policy: careful, token_env: CI_TOKEN}}
oauth:
  issuer: {login}/realm
  public_url: https://gate.example
  jwks_url: {login}/jwks
  rules:
    - {{server: web, policy: careful, claims: {{groups: [staff]}}, scope: [mcp.write]}}
    - {{server: bare, policy: careful}}
"""
CI_TOKEN = "ci-token-0123456789abcdef"


@dataclass
class Whole:
    """A gateway under way, what it logs, and those it talks with."""

    folder: Path
    login: AuthorizationServer
    upstream: GuardedServer
    environ: dict[str, str]
    stack: ExitStack
    process: "subprocess.Popen[bytes] | None" = None
    base: str = ""
    secrets: list[str] = field(default_factory=list)

    def start(self, config: str = CONFIG) -> None:
        text = config.format(upstream=self.upstream.url, login=self.login.url, client=CLIENT[0])
        (self.folder / "regate.yaml").write_text(text, encoding="utf-8")
        ready = self.folder / "ready.json"
        log = self.stack.enter_context((self.folder / "log").open("wb"))
        command = ["serve", "--config", "regate.yaml", "--listen", "127.0.0.1:0", "--ready-file", "ready.json"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sidecar", *command], cwd=self.folder, env=self.environ, stdout=log, stderr=log
        )
        self.stack.callback(self.process.wait, 20)
        self.stack.callback(self.process.terminate)
        end = time.monotonic() + START_S
        while not ready.exists():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < end, self.log
            time.sleep(0.02)
        self.base = json.loads(ready.read_text(encoding="utf-8"))["url"]

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    def token(self, *given: Any, **claims: Any) -> str:
        whole = {"aud": "https://gate.example/mcp/web", "groups": ["staff"], "scope": "mcp.write", **claims}
        made = self.login.token(*given, **whole)
        self.secrets.append(made)
        return made

    def post(self, token: str | None, message: Any = CALL, server: str = "web") -> tuple[int, Any, Any]:
        """Status, headers and document of the answer."""
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self._asked(urllib.request.Request(f"{self.base}/mcp/{server}", json.dumps(message).encode(), headers))

    def get(self, path: str, **headers: str) -> tuple[int, Any, Any]:
        return self._asked(urllib.request.Request(self.base + path, headers=headers))

    def _asked(self, request: urllib.request.Request) -> tuple[int, Any, Any]:
        try:
            with urllib.request.urlopen(request, timeout=START_S) as answer:
                return answer.status, answer.headers, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, json.loads(error.read())


@pytest.fixture
def whole(tmp_path: Path, opa_path: Path) -> Iterator[Whole]:
    (tmp_path / "policy.json").write_text(POLICY, encoding="utf-8")
    environ = os.environ | {
        "PYTHONPATH": str(Path(sidecar.__file__).parents[1]),
        "REGATE_STATE": str(tmp_path / "state"),
        "REGATE_OPA": str(opa_path),
        "UPSTREAM_SECRET": CLIENT[1],
        "CI_TOKEN": CI_TOKEN,
    }
    with ExitStack() as stack:
        login = stack.enter_context(authorization_server())
        upstream = stack.enter_context(guarded_server())
        upstream.token = "Bearer minted-0-token"
        yield Whole(tmp_path, login, upstream, environ, stack, secrets=[CLIENT[1], CI_TOKEN, "minted-"])


def test_token_of_the_authorization_server_is_a_grant_and_stops_here(whole: Whole) -> None:
    whole.start()
    status, _, answer = whole.post(whole.token())
    assert (status, answer["result"]["content"][0]["text"]) == (200, "done")
    _, _, answer = whole.post(whole.token(), {**CALL, "params": {"name": "drop"}})
    assert answer["result"]["isError"] is True
    assert whole.post(CI_TOKEN)[0] == 200
    assert set(whole.upstream.shown) <= {"Bearer minted-0-token", None}
    assert whole.upstream.methods.count("tools/call") == 2
    assert whole.login.forms == [{"grant_type": "client_credentials", "scope": "tools"}]
    told = subprocess.run(
        [sys.executable, "-m", "sidecar", "audit", "tail", "--format", "json"],
        env=whole.environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=START_S,
    ).stdout
    assert '"oauth:web:alice"' in told


def test_every_refusal_says_what_is_needed_and_reaches_no_server(whole: Whole) -> None:
    whole.start()
    now = int(time.time())
    claims = {"iss": whole.login.issuer, "aud": "https://gate.example/mcp/web", "sub": "alice", "exp": now + 99}
    metadata = 'resource_metadata="https://gate.example/.well-known/oauth-protected-resource/mcp/web"'
    invalid = f'Bearer error="invalid_token", {metadata}, scope="mcp.write"'
    refused = {
        "no token": (None, 401, f'Bearer {metadata}, scope="mcp.write"'),
        "expired": (whole.token(exp=now - 100), 401, invalid),
        "not yet": (whole.token(nbf=now + 100), 401, invalid),
        "audience": (whole.token(aud="https://elsewhere.example"), 401, invalid),
        "issuer": (whole.token(iss="https://evil.example"), 401, invalid),
        "stranger": (whole.token(RSA[1], "one"), 401, invalid),
        "unknown key": (whole.token(RSA[1], "unknown"), 401, invalid),
        "none": (jwt.encode(claims, "", "none", headers={"kid": "one"}), 401, invalid),
        "tampered": (whole.token()[:-20] + "A" * 20, 401, invalid),
        "oversized": (whole.token(fill="x" * 20_000), 401, invalid),
        "junk": ("a.b.c", 401, invalid),
        "other server": (whole.token(aud="https://gate.example/mcp/bare"), 403, None),
        "no rule": (whole.token(groups=["guests"]), 403, None),
        "no scope": (
            whole.token(scope="mcp.read"),
            403,
            f'Bearer error="insufficient_scope", {metadata}, scope="mcp.write"',
        ),
    }
    before = list(whole.upstream.methods)
    for name, (token, wanted, challenge) in refused.items():
        status, headers, answer = whole.post(token)
        assert (status, headers["www-authenticate"]) == (wanted, challenge), name
        assert "alice" not in json.dumps(answer), name
    assert whole.upstream.methods == before
    assert whole.post(whole.token())[0] == 200
    _never_told(whole)


def test_metadata_is_served_for_each_server_and_for_nothing_else(whole: Whole) -> None:
    whole.start()
    status, headers, document = whole.get("/.well-known/oauth-protected-resource/mcp/web")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert document == {
        "resource": "https://gate.example/mcp/web",
        "authorization_servers": [whole.login.issuer],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["mcp.write"],
    }
    assert "scopes_supported" not in whole.get("/.well-known/oauth-protected-resource/mcp/bare")[2]
    status, headers, _ = whole.get("/.well-known/oauth-protected-resource/mcp/web", Origin="https://page.example")
    assert (status, headers["access-control-allow-origin"]) == (200, "*")
    assert whole.get("/readyz", Origin="https://page.example")[0] == 403
    assert "access-control-allow-origin" not in whole.get("/readyz")[1]
    for path in ("", "/", "/mcp", "/mcp/none", "/mcp/web/"):
        assert whole.get("/.well-known/oauth-protected-resource" + path)[0] == 404


def test_keys_that_rotate_are_followed_and_a_token_of_the_old_ones_is_refused(whole: Whole) -> None:
    whole.login.keys = [jwk(RSA[0], "one")]
    config = CONFIG.replace("  rules:", "  refresh_s: 10\n  rules:")
    whole.start(config)
    old = whole.token()
    assert whole.post(old)[0] == 200
    whole.login.keys = [jwk(RSA[1], "two")]
    new = whole.token(RSA[1], "two")
    end = time.monotonic() + 15
    while (status := whole.post(new)[0]) != 200:
        assert status == 401
        assert time.monotonic() < end
        time.sleep(0.2)
    assert whole.post(old)[0] == 401
    whole.login.status = 500
    assert whole.post(new)[0] == 200


def test_keys_that_cannot_be_had_refuse_tokens_until_they_can(whole: Whole) -> None:
    whole.login.status = 503
    whole.start()
    status, headers, answer = whole.post(whole.token())
    assert (status, headers["www-authenticate"]) == (503, None)
    assert "keys of the authorization server" in answer["error"]["message"]
    assert "/jwks answered with status 503" in whole.log
    whole.login.status = 200
    end = time.monotonic() + 15
    while whole.post(whole.token())[0] != 200:
        assert time.monotonic() < end
        time.sleep(0.2)
    _never_told(whole)


def test_credential_that_the_server_refuses_is_renewed_once_and_its_challenge_never_relayed(whole: Whole) -> None:
    whole.start()
    token = whole.token()
    assert whole.post(token)[0] == 200
    whole.upstream.token = "Bearer minted-1-token"
    end = time.monotonic() + 15
    while (status := whole.post(token)[0]) != 200:
        assert status == 502
        assert time.monotonic() < end
        time.sleep(0.2)
    assert whole.login.minted == ["minted-0-token", "minted-1-token"]
    whole.upstream.token = "Bearer never"
    status, headers, answer = whole.post(token)
    assert (status, headers["www-authenticate"]) == (502, None)
    assert "credential" in answer["error"]["message"]
    _never_told(whole)


def test_keys_that_are_long_in_coming_hold_up_only_those_who_need_them(whole: Whole) -> None:
    whole.start()
    known = whole.token()
    assert whole.post(known)[0] == 200
    read = whole.login.asked.count("/jwks")
    whole.login.free.clear()
    whole.login.keys.append(jwk(RSA[1], "two"))
    answers: list[int] = []

    def insist() -> None:
        end = time.monotonic() + 20
        while answers[-1:] != [200] and time.monotonic() < end:
            answers.append(whole.post(whole.token(RSA[1], "two"))[0])

    insisting = Thread(target=insist)
    insisting.start()
    end = time.monotonic() + 10
    while whole.login.asked.count("/jwks") == read:
        assert time.monotonic() < end
        time.sleep(0.01)
    begun = time.monotonic()
    assert [whole.post(token)[0] for token in (CI_TOKEN, known, "bad")] == [200, 200, 401]
    assert time.monotonic() - begun < 2
    assert 200 not in answers
    whole.login.free.set()
    insisting.join()
    assert answers[-1] == 200


async def test_real_client_finds_out_by_itself_where_to_get_a_token(whole: Whole) -> None:
    whole.login.mints_jwt = True
    plain = CONFIG.replace("  public_url: https://gate.example\n", "").replace("claims: {{groups: [staff]}}, ", "")
    await asyncio.to_thread(whole.start, plain)
    whole.upstream.token = f"Bearer {whole.login.minted[0]}"
    url = f"{whole.base}/mcp/web"
    provider = ClientCredentialsOAuthProvider(url, Kept(), CLIENT[0], CLIENT[1], issuer=whole.login.issuer)
    async with (
        httpx2.AsyncClient(auth=provider, timeout=20) as http,
        Client(streamable_http_client(url, http_client=http), mode="legacy") as client,
    ):
        assert [tool.name for tool in (await client.list_tools()).tools] == ["add"]
        result = await client.call_tool("add", {})
        assert not result.is_error
    form = whole.login.forms[-1]
    assert (form["resource"], form["scope"]) == (url, "mcp.write")
    assert f"Bearer {whole.login.minted[-1]}" not in whole.upstream.shown


class Kept:
    """What a client keeps, in memory."""

    tokens: Any = None
    client: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        return self.client

    async def set_client_info(self, client_info: Any) -> None:
        self.client = client_info


def test_settings_without_oauth_publish_nothing(whole: Whole) -> None:
    whole.start(CONFIG.partition("oauth:\n  issuer")[0])
    assert whole.get("/.well-known/oauth-protected-resource/mcp/web")[0] == 404
    status, headers, _ = whole.post(whole.token())
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert whole.post(CI_TOKEN)[0] == 200


def _never_told(whole: Whole) -> None:
    """No token and no secret is in the log, the state, `/status`, a command line, or a child's environment."""
    assert whole.process is not None
    told = [whole.log.encode()]
    told += [path.read_bytes() for path in (whole.folder / "state").rglob("*") if path.is_file()]
    status = [sys.executable, "-m", "sidecar", "status", "--format", "json"]
    told.append(subprocess.run(status, env=whole.environ, capture_output=True, check=True, timeout=START_S).stdout)
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told.append((entry / "cmdline").read_bytes())
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == whole.process.pid:
                told.append((entry / "environ").read_bytes())
        except OSError:
            continue
    for secret in whole.secrets:
        assert not any(secret.encode() in text for text in told), secret[:12]
