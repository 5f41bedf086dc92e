"""Source: RFC 7517, RFC 7518."""

import asyncio
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import RSAAlgorithm

from sidecar.errors import KeysAwaited, KeysUnavailable, SidecarError
from sidecar.grants.keys import BELIEVED, JWKS_BYTES, PAUSE_S, Keys, keys_of
from tests.authorization import EC, ED, RSA, jwk

WEAK = rsa.generate_private_key(65537, 1024)
K1 = ec.generate_private_key(ec.SECP256K1())


class Source:
    """A JWKS that can be changed, fail, or hang; and a clock."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.fails = False
        self.hangs: asyncio.Event | None = None
        self.read = 0
        self.now_s = 1000.0
        self.warned: list[SidecarError] = []

    async def __call__(self) -> bytes:
        self.read += 1
        if self.hangs is not None:
            await self.hangs.wait()
        if self.fails:
            raise KeysUnavailable("The server is down.")
        return json.dumps({"keys": self.keys}).encode()

    def made(self) -> Keys:
        return Keys(self, self.warned.append, refresh_s=100, now_s=lambda: self.now_s)


def document(*keys: Any) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


async def test_find_before_anything_was_read_asks_to_read_and_then_finds() -> None:
    source = Source(jwk(RSA[0], "one"))
    keys = source.made()
    with pytest.raises(KeysAwaited):
        keys.find("one", "RS256")
    assert await keys.read_again()
    assert len(keys.find("one", "RS256")) == 1
    assert source.read == 1


async def test_find_unknown_id_asks_to_read_again_but_not_within_the_pause() -> None:
    source = Source(jwk(RSA[0], "one"))
    keys = source.made()
    await keys.read_again()
    assert keys.find("two", "RS256") == []
    source.now_s += PAUSE_S
    with pytest.raises(KeysAwaited):
        keys.find("two", "RS256")
    await keys.read_again()
    assert keys.find("two", "RS256") == []


async def test_find_rotated_key_is_there_after_reading_and_the_old_one_gone() -> None:
    source = Source(jwk(RSA[0], "one"))
    keys = source.made()
    await keys.read_again()
    edition = keys.edition
    source.keys = [jwk(RSA[1], "two")]
    source.now_s += PAUSE_S
    with pytest.raises(KeysAwaited):
        keys.find("two", "RS256")
    await keys.read_again()
    assert len(keys.find("two", "RS256")) == 1
    assert keys.find("one", "RS256") == []
    assert keys.edition > edition


async def test_read_again_is_done_once_for_all_who_wait_and_outlives_one_who_leaves() -> None:
    source = Source(jwk(RSA[0], "one"))
    source.hangs = asyncio.Event()
    keys = source.made()
    waiting = [asyncio.create_task(keys.read_again()) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(KeysAwaited):
        keys.find("one", "RS256")
    waiting[0].cancel()
    source.hangs.set()
    assert await asyncio.gather(*waiting[1:]) == [True, True]
    assert source.read == 1


async def test_read_again_same_keys_change_no_edition() -> None:
    keys = Source(jwk(RSA[0], "one")).made()
    await keys.read_again()
    edition = keys.edition
    await keys.read_again()
    assert keys.edition == edition


async def test_keys_that_were_never_read_are_unavailable_and_told_once() -> None:
    source = Source()
    source.fails = True
    keys = source.made()
    assert not await keys.read_again()
    assert not await keys.read_again()
    with pytest.raises(KeysUnavailable) as refused:
        keys.find("one", "RS256")
    assert not isinstance(refused.value, KeysAwaited)
    assert refused.value.http_status == 503
    assert len(source.warned) == 1


async def test_keys_stay_good_while_the_server_is_down_but_not_for_ever() -> None:
    source = Source(jwk(RSA[0], "one"))
    keys = source.made()
    await keys.read_again()
    source.fails = True
    source.now_s += BELIEVED * 100
    await keys.read_again()
    assert len(keys.find("one", "RS256")) == 1
    edition = keys.edition
    source.now_s += 1
    with pytest.raises(KeysUnavailable):
        keys.find("one", "RS256")
    assert keys.edition > edition


async def test_keys_that_are_too_old_are_dropped_by_a_reading_that_fails() -> None:
    source = Source(jwk(RSA[0], "one"))
    keys = source.made()
    await keys.read_again()
    edition = keys.edition
    source.fails = True
    source.now_s += BELIEVED * 100 + 1
    await keys.read_again()
    assert keys.edition > edition


async def test_find_without_an_id_takes_the_only_key_of_the_algorithm() -> None:
    source = Source(jwk(RSA[0], None), jwk(EC, "curve", "ES256"))
    keys = source.made()
    await keys.read_again()
    assert len(keys.find(None, "RS256")) == 1
    source.keys.append(jwk(RSA[1], "two"))
    await keys.read_again()
    assert keys.find(None, "RS256") == []


async def test_run_reads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(jwk(RSA[0], "one"))
    keys = Keys(source, source.warned.append, refresh_s=0.001)
    async with asyncio.timeout(5):
        running = asyncio.create_task(keys.run())
        while source.read < 3:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.001)
        running.cancel()


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        (jwk(RSA[0], "k"), {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        (jwk(RSA[0], "k", alg="PS256"), {"PS256"}),
        (jwk(EC, "k", "ES256"), {"ES256"}),
        (jwk(ED, "k", "EdDSA"), {"EdDSA"}),
        (jwk(RSA[0], "k", key_ops=["verify"]), {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    ],
)
def test_keys_of_key_is_for_the_algorithms_of_its_kind(key: dict[str, Any], algorithms: set[str]) -> None:
    assert {algorithm for _, algorithm in keys_of(document(key))} == algorithms


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "k"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "HS256"},
        jwk(RSA[0], "k", alg="HS256"),
        jwk(RSA[0], "k", alg="none"),
        jwk(RSA[0], "k", use="enc"),
        jwk(RSA[0], "k", key_ops=["encrypt"]),
        jwk(RSA[0], "k", key_ops="verify"),
        {**jwk(RSA[0], "k"), "kid": 5},
        {**json.loads(RSAAlgorithm.to_jwk(RSA[0])), "kid": "k", "key_ops": ["verify"]},
        jwk(RSA[0], "k", n="!"),
        jwk(RSA[0], "k", n=5),
        jwk(RSA[0], "k", e=""),
        jwk(WEAK, "k"),
        jwk(K1, "k", "ES256"),
        jwk(EC, "k", "ES256", x="AAAA"),
        {"kty": "EC", "crv": ["P-256"], "kid": "k"},
        {"kty": "AKP", "crv": "P-256", "kid": "k"},
        {"kid": "k"},
        "text",
        None,
    ],
)
def test_keys_of_key_that_is_no_verifying_key_is_left_out(key: Any) -> None:
    with pytest.raises(KeysUnavailable):
        keys_of(document(key))
    assert keys_of(document(key, jwk(RSA[0], "good")))


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"\xff", b"[" * 100_000, b" " * (JWKS_BYTES + 1)],
)
def test_keys_of_what_is_no_jwks_is_refused(text: bytes) -> None:
    with pytest.raises(KeysUnavailable):
        keys_of(text)


def test_keys_of_too_many_keys_is_refused() -> None:
    with pytest.raises(KeysUnavailable):
        keys_of(document(*[jwk(RSA[0], str(number)) for number in range(300)]))
