"""Every refusal, with real keys and signatures. Source: RFC 7519, RFC 8725, RFC 9068; mcp-gateway.md G48, G49."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.errors import GrantError, InsufficientScope, KeysAwaited, KeysUnavailable, UnknownGrant, WrongServer
from sidecar.grants.jwt import LEEWAY_S, TOKEN_BYTES, JwtGrants
from sidecar.grants.keys import Keys
from sidecar.grants.rules import Rule, Rules
from sidecar.ports import Grant
from tests.authorization import EC, ED, RSA, AuthorizationServer, jwk

AUDIENCE = "https://gate.example/mcp/s"
OTHER = "https://gate.example/mcp/other"
PEM = RSA[0].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Desk:
    def __init__(self) -> None:
        self.server = AuthorizationServer()
        self.server.url = "https://login.example"
        self.now = time.time()
        self.now_s = 1000.0
        self.read = 0
        self.warned: list[Any] = []
        self.keys = Keys(self.jwks, self.warned.append, now_s=lambda: self.now_s)
        rules = [
            Rule("s", "p", {}, frozenset(), None, "sub"),
            Rule("other", "p", {}, frozenset(["write"]), None, "sub"),
        ]
        self.grants = JwtGrants(
            self.keys,
            Rules(rules),
            issuer=self.server.issuer,
            audiences={"s": frozenset([AUDIENCE]), "other": frozenset([OTHER])},
            algorithms=frozenset(["RS256", "ES256"]),
            now=lambda: self.now,
        )

    async def jwks(self) -> bytes:
        self.read += 1
        return self.server.jwks()

    def token(self, *given: Any, **claims: Any) -> bytes:
        return self.server.token(*given, **{"aud": AUDIENCE, **claims}).encode()

    def refusal(self, token: bytes) -> str:
        with pytest.raises(UnknownGrant) as refused:
            self.grants.resolve(token, "s")
        assert refused.value.http_status == 401
        assert "alice" not in str(refused.value)
        return str(refused.value).removeprefix("This token is not valid").strip(": .")


@pytest.fixture
async def desk() -> Desk:
    desk = Desk()
    await desk.grants.settle()
    return desk


def unsigned(header: Any, claims: Any, signature: bytes = b"") -> bytes:
    return b".".join(_part(part) for part in (json.dumps(header).encode(), json.dumps(claims).encode(), signature))


def _part(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@pytest.mark.parametrize("key", [(RSA[0], "one", "RS256"), (EC, "curve", "ES256"), (RSA[0], None, "RS256")])
async def test_resolve_good_token_gives_its_grant(desk: Desk, key: tuple[Any, ...]) -> None:
    assert desk.grants.resolve(desk.token(*key), "s") == Grant("oauth:s:alice", "s", "p")


async def test_resolve_good_token_among_several_audiences(desk: Desk) -> None:
    assert desk.grants.resolve(desk.token(aud=["x", AUDIENCE]), "s").server == "s"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": 1000}, "it has expired"),
        ({"exp": int(time.time()) - LEEWAY_S - 5}, "it has expired"),
        ({"nbf": int(time.time()) + 1000}, "it is not valid yet"),
        ({"iat": int(time.time()) + 1000}, "it is not valid yet"),
        ({"aud": "https://elsewhere.example"}, "it is for another audience"),
        ({"aud": [AUDIENCE + "/"]}, "it is for another audience"),
        ({"aud": AUDIENCE.upper()}, "it is for another audience"),
        ({"aud": {"a": AUDIENCE}}, "it is for another audience"),
        ({"aud": [AUDIENCE, 5]}, "it is for another audience"),
        ({"aud": None}, "it lacks iss, aud or exp"),
        ({"aud": []}, "it lacks iss, aud or exp"),
        ({"exp": None}, "it lacks iss, aud or exp"),
        ({"iss": None}, "it lacks iss, aud or exp"),
        ({"iss": "https://login.example/realm/"}, "it is of another issuer"),
        ({"iss": "https://evil.example"}, "it is of another issuer"),
        ({"exp": "soon"}, "it is not a well-formed JWT"),
        ({"exp": [1]}, "it is not a well-formed JWT"),
        ({"exp": float("inf")}, "it is not a well-formed JWT"),
        ({"exp": float("nan")}, "it is not a well-formed JWT"),
        ({"nbf": "soon"}, "it is not a well-formed JWT"),
        ({"sub": None}, "its claim sub does not tell whose it is"),
        ({"sub": ""}, "its claim sub does not tell whose it is"),
    ],
)
async def test_resolve_token_with_wrong_claims_is_refused(desk: Desk, claims: dict[str, Any], why: str) -> None:
    assert desk.refusal(desk.token(**claims)) == why


async def test_resolve_token_without_a_signature_is_refused(desk: Desk) -> None:
    claims = {"iss": desk.server.issuer, "aud": AUDIENCE, "sub": "alice", "exp": int(time.time()) + 100}
    for name in ("none", "None", "NONE", "", "nOnE", "RS256 "):
        token = unsigned({"alg": name, "kid": "one"}, claims)
        assert desk.refusal(token) == "it is not signed in an allowed way"
    assert desk.refusal(unsigned({"alg": "RS256", "kid": "one"}, claims)) == "its signature is wrong"
    assert desk.refusal(unsigned({"kid": "one"}, claims)) == "it is not a well-formed JWT"


async def test_resolve_token_signed_with_the_public_key_as_a_secret_is_refused(desk: Desk) -> None:
    claims = {"iss": desk.server.issuer, "aud": AUDIENCE, "sub": "alice", "exp": int(time.time()) + 100}
    n = jwk(RSA[0], "one")["n"]
    for secret in (PEM, PEM.strip(), json.dumps(jwk(RSA[0], "one")).encode(), n.encode()):
        for algorithm in ("HS256", "HS384", "HS512"):
            for named in (algorithm, "RS256"):
                header = _part(json.dumps({"alg": named, "kid": "one"}).encode())
                signing = header + b"." + _part(json.dumps(claims).encode())
                hashing = jwt.get_algorithm_by_name(algorithm)
                signature = hashing.sign(signing, secret)  # type: ignore[arg-type]
                assert desk.refusal(signing + b"." + _part(signature))


async def test_resolve_token_of_an_algorithm_that_is_not_allowed_is_refused(desk: Desk) -> None:
    desk.server.keys.append(jwk(ED, "ed", "EdDSA"))
    await desk.keys.read_again()
    assert desk.refusal(desk.token(ED, "ed", "EdDSA")) == "it is not signed in an allowed way"
    assert desk.refusal(desk.token(RSA[0], "one", "RS512")) == "it is not signed in an allowed way"


async def test_resolve_token_whose_key_is_of_another_kind_is_refused(desk: Desk) -> None:
    assert desk.refusal(desk.token(RSA[0], "curve")) == "it is signed with a key that is not known"
    assert desk.refusal(desk.token(EC, "one", "ES256")) == "it is signed with a key that is not known"


async def test_resolve_token_of_a_stranger_is_refused(desk: Desk) -> None:
    assert desk.refusal(desk.token(RSA[1], "one")) == "its signature is wrong"
    assert (
        desk.refusal(desk.token(ec.generate_private_key(ec.SECP256R1()), "curve", "ES256")) == "its signature is wrong"
    )


async def test_resolve_keys_in_the_header_are_not_looked_at(desk: Desk) -> None:
    now = int(time.time())
    claims = {"iss": desk.server.issuer, "aud": AUDIENCE, "sub": "alice", "exp": now + 100}
    for header in ({"jwk": jwk(RSA[1], "one")}, {"jku": "https://evil.example/jwks"}, {"x5u": "https://evil.example"}):
        token = jwt.encode(claims, RSA[1], "RS256", headers={"kid": "one", **header})
        assert desk.refusal(token.encode()) == "its signature is wrong"


async def test_resolve_token_that_demands_an_extension_is_refused(desk: Desk) -> None:
    claims = {"iss": desk.server.issuer, "aud": AUDIENCE, "sub": "alice", "exp": int(time.time()) + 100}
    token = jwt.encode(claims, RSA[0], "RS256", headers={"kid": "one", "crit": ["x"], "x": 1})
    assert desk.refusal(token.encode()) == "it demands an extension that is not known"


async def test_resolve_token_with_any_one_character_changed_is_refused(desk: Desk) -> None:
    good = desk.token()
    claims = good.split(b".")[1]
    changed = json.loads(base64.urlsafe_b64decode(claims + b"=="))
    for member in ({"sub": "bob"}, {"exp": changed["exp"] + 1}):
        parts = good.split(b".")
        parts[1] = _part(json.dumps({**changed, **member}).encode())
        assert desk.refusal(b".".join(parts)) == "its signature is wrong"
    for place in range(0, len(good) - 1, 7):
        other = b"B" if good[place : place + 1] == b"A" else b"A"
        desk.refusal(good[:place] + other + good[place + 1 :])


async def test_resolve_token_that_is_too_long_is_refused_unread(desk: Desk) -> None:
    assert desk.refusal(desk.token(fill="x" * TOKEN_BYTES)) == f"it is longer than {TOKEN_BYTES} bytes"


@pytest.mark.parametrize(
    "token",
    [
        b"x",
        b".",
        b"..",
        b"a.b",
        b"a.b.c",
        b"a.b.c.d",
        b"e30.e30.e30",
        b"W10.e30.e30",
        b"\xff.\xff.\xff",
        b"eyJhbGciOiJSUzI1NiJ9..",
        _part(b"[" * 8000) + b".e30.e30",
        _part(b'{"alg":"RS256","x":' + b"[" * 8000) + b".e30.e30",
        _part(b'{"alg":"RS256","kid":5}') + b".e30.e30",
        _part(b'{"alg":["RS256"]}') + b".e30.e30",
    ],
)
async def test_resolve_what_is_no_token_is_refused(desk: Desk, token: bytes) -> None:
    desk.refusal(token)


async def test_resolve_deep_or_odd_claims_of_the_issuer_itself_are_refused(desk: Desk) -> None:
    for claims in (b"[" * 8000, b"5", b"[]", b"\xff", b'{"aud":' + b"[" * 8000):
        header = _part(b'{"alg":"RS256","kid":"one"}')
        signing = header + b"." + _part(claims)
        signature = jwt.get_algorithm_by_name("RS256").sign(signing, RSA[0])
        assert desk.refusal(signing + b"." + _part(signature)) == "it is not a well-formed JWT"


@given(st.binary(max_size=200), st.binary(max_size=50), st.binary(max_size=50))
@settings(max_examples=150, deadline=None)
def test_resolve_any_bytes_are_refused_in_order(header: bytes, claims: bytes, signature: bytes) -> None:
    for token in (header, b".".join([header, claims, signature]), b".".join(map(_part, (header, claims, signature)))):
        with pytest.raises(GrantError):
            Desk().grants.resolve(token, "s")


async def test_resolve_token_for_another_of_our_servers_is_told_no_more(desk: Desk) -> None:
    with pytest.raises(WrongServer) as refused:
        desk.grants.resolve(desk.token(aud=OTHER), "s")
    assert (refused.value.http_status, str(refused.value)) == (403, "This token is for another server.")


async def test_resolve_token_that_lacks_a_scope_is_forbidden(desk: Desk) -> None:
    with pytest.raises(InsufficientScope) as refused:
        desk.grants.resolve(desk.token(aud=OTHER, scope="read"), "other")
    assert refused.value.scope == ("write",)


async def test_resolve_remembers_a_token_until_it_expires(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    token = desk.token(exp=int(desk.now) + 60)
    grant = desk.grants.resolve(token, "s")
    monkeypatch.setattr(jwt, "decode", _never)
    assert desk.grants.resolve(token, "s") is grant
    desk.now += 60 + LEEWAY_S
    with pytest.raises(AssertionError, match="verified again"):
        desk.grants.resolve(token, "s")


def _never(*_: Any, **__: Any) -> Any:
    raise AssertionError("verified again")


async def test_resolve_remembered_token_is_good_for_no_other_server(desk: Desk) -> None:
    token = desk.token()
    desk.grants.resolve(token, "s")
    with pytest.raises(WrongServer):
        desk.grants.resolve(token, "other")


async def test_resolve_remembered_token_of_a_withdrawn_key_is_refused(desk: Desk) -> None:
    token = desk.token()
    desk.grants.resolve(token, "s")
    desk.server.keys = [jwk(RSA[1], "two")]
    await desk.keys.read_again()
    assert desk.refusal(token) == "it is signed with a key that is not known"


async def test_resolve_keeps_no_token_and_no_more_than_so_many(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.grants.jwt.REMEMBERED", 3)
    made = [desk.token(sub=f"user{number}") for number in range(8)]
    for token in made:
        desk.grants.resolve(token, "s")
    held = desk.grants._remembered
    assert len(held) == 3
    assert not any(token in repr(held).encode() for token in made)


async def test_resolve_token_of_a_new_key_waits_for_it_and_is_then_good(desk: Desk) -> None:
    desk.server.keys.append(jwk(RSA[1], "two"))
    desk.now_s += 60
    token = desk.token(RSA[1], "two")
    with pytest.raises(KeysAwaited):
        desk.grants.resolve(token, "s")
    await desk.grants.settle()
    assert desk.grants.resolve(token, "s").id == "oauth:s:alice"


async def test_resolve_unknown_keys_cause_one_reading_at_most_in_a_while(desk: Desk) -> None:
    read = desk.read
    desk.now_s += 60
    for number in range(20):
        token = desk.token(RSA[1], f"new{number}")
        try:
            desk.grants.resolve(token, "s")
        except KeysAwaited:
            await desk.grants.settle()
            desk.refusal(token)
        except UnknownGrant:
            pass
    assert desk.read == read + 1


async def test_resolve_without_keys_fails_closed() -> None:
    desk = Desk()
    desk.server.document = b"<html>"
    await desk.grants.settle()
    with pytest.raises(KeysUnavailable) as refused:
        desk.grants.resolve(desk.token(), "s")
    assert refused.value.http_status == 503


@pytest.mark.parametrize("name", ["HS256", "none"])
def test_grants_never_take_an_algorithm_of_shared_secrets(name: str) -> None:
    with pytest.raises(ValueError, match="shared secret"):
        JwtGrants(Desk().keys, Rules([]), issuer="i", audiences={}, algorithms=frozenset([name]))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """jwt warns of short secrets, which are this test's own."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
        yield
