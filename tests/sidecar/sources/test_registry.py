"""Who a registry is told we are: the token protocol, by a server that says what it is told to."""

import base64
import json
from typing import Any

import pytest

from sidecar.errors import SettingsError
from sidecar.fetch import NotFetched
from sidecar.sources.registry import Reference, Registry, parse
from sidecar.sources.transfer import Transfer


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} x", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("url", "reference"),
    [
        ("oci://ghcr.example/team/policies:v1", Reference("https://ghcr.example/v2/team/policies", "v1")),
        ("oci://h/p", Reference("https://h/v2/p", "latest")),
        ("oci://h:5000/p", Reference("https://h:5000/v2/p", "latest")),
        ("oci://localhost:5000/p:1", Reference("http://localhost:5000/v2/p", "1")),
        ("oci://[::1]:5000/p:1", Reference("http://[::1]:5000/v2/p", "1")),
        (f"oci://h/p:v1@sha256:{'0' * 64}", Reference("https://h/v2/p", f"sha256:{'0' * 64}")),
    ],
)
def test_parse_a_place_in_a_registry(url: str, reference: Reference) -> None:
    assert parse(url) == reference
    assert reference.digest == (reference.version if "sha256" in url else "")


@pytest.mark.parametrize("url", ["oci://h", "oci://h/", "oci://h/P", "oci://h/../x", "oci://h/p:", "oci://h/p@md5:0"])
def test_parse_what_is_no_place_in_a_registry_is_an_error(url: str) -> None:
    with pytest.raises(SettingsError, match="names no place in a registry"):
        parse(url)


class Guarded:
    """A registry that wants a token from its own token service."""

    def __init__(self, web: Any, *, realm: str = "", token: bytes = b'{"token": "good"}', status: int = 200) -> None:
        self.web = web
        self.token = token
        self.status = status
        realm = realm or f"{web.url}/token?a=b"
        self.challenge = f'Bearer realm="{realm}",service="reg",scope="repository:p:pull",error="x"'
        web.answers = self.answers

    def answers(self, asked: Any) -> bytes:
        if asked.target.startswith("/token"):
            return answer(self.status, self.token)
        known = asked.headers.get("authorization") == "Bearer good"
        return answer(200, b"blob") if known else answer(401, WWW_Authenticate=self.challenge)


async def ask(web: Any, username: str = "", times: int = 1) -> Any:
    made = Registry(Transfer(), username, lambda: "pässword")
    try:
        for _ in range(times):
            found = await made.ask("GET", f"{web.url}/v2/p", {}, limit_bytes=1000)
        return found
    finally:
        await made.close()


async def test_token_is_asked_for_once_and_kept(web: Any) -> None:
    Guarded(web)
    assert (await ask(web, times=2)).body == b"blob"
    targets = [asked.target for asked in web.asked]
    assert targets == ["/v2/p", "/token?a=b&service=reg&scope=repository%3Ap%3Apull", "/v2/p", "/v2/p"]
    assert "authorization" not in web.asked[1].headers


async def test_password_goes_to_the_token_service_only(web: Any) -> None:
    Guarded(web, token=json.dumps({"access_token": "good"}).encode())
    assert (await ask(web, "user")).body == b"blob"
    basic = f"Basic {base64.b64encode('user:pässword'.encode()).decode()}"
    shown = [asked.headers.get("authorization") for asked in web.asked]
    assert shown == [None, basic, "Bearer good"]


async def test_token_that_is_not_good_is_not_kept(web: Any) -> None:
    Guarded(web, token=b'{"token": "bad"}')
    assert (await ask(web, times=2)).status == 401
    assert [asked.target.startswith("/token") for asked in web.asked].count(True) == 2


@pytest.mark.parametrize(
    ("realm", "token", "status", "says"),
    [
        ("", b"{", 200, "gives us no token"),
        ("", b"[]", 200, "gives us no token"),
        ("", b'{"token": 1}', 200, "gives us no token"),
        ("", b'{"token": "a\\r\\nX: y"}', 200, "gives us no token"),
        ("", b'{"token": "good"}', 403, r"gives us no token \(status 403\)"),
        ("http://tokens.example/", b"", 200, "a place for tokens that has no TLS"),
        ("file:///etc/passwd", b"", 200, "a place for tokens that has no TLS"),
    ],
)
async def test_token_service_that_gives_none_is_given_up(
    web: Any, realm: str, token: bytes, status: int, says: str
) -> None:
    Guarded(web, realm=realm, token=token, status=status)
    with pytest.raises(NotFetched, match=says):
        await ask(web, "user")


@pytest.mark.parametrize("challenge", ["", "Basic realm=x", "Bearer", "Negotiate x"])
async def test_challenge_that_cannot_be_met_is_given_up(web: Any, challenge: str) -> None:
    web.answers = lambda _: answer(401, WWW_Authenticate=challenge)
    with pytest.raises(NotFetched, match="the registry refuses us"):
        await ask(web)
