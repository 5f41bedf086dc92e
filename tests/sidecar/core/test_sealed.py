"""Source: mcp-gateway.md G38."""

import base64

import pytest

from sidecar.core.sealed import NONCE_BYTES, PREFIX, Claims, Seal

NONCE = bytes(range(NONCE_BYTES))
CLAIMS = Claims("upstream", 1, True, "apr_1", "/r", "sha256:one", b'"theirs"')
SEAL = Seal(b"secret")


def test_state_opens_for_its_own_call_and_key() -> None:
    state = SEAL.close(CLAIMS, "call", NONCE)
    assert state.startswith(PREFIX)
    assert b"theirs" not in base64.urlsafe_b64decode(state.removeprefix(PREFIX))
    assert Seal(b"secret").open(state, "call") == (CLAIMS, NONCE)


def test_state_of_another_call_or_key_does_not_open() -> None:
    state = SEAL.close(CLAIMS, "call", NONCE)
    assert SEAL.open(state, "another") is None
    assert Seal(b"other").open(state, "call") is None


def test_state_changed_anywhere_does_not_open() -> None:
    sealed = base64.urlsafe_b64decode(SEAL.close(CLAIMS, "call", NONCE).removeprefix(PREFIX))
    for index in range(len(sealed)):
        bent = bytearray(sealed)
        bent[index] ^= 1
        assert SEAL.open(PREFIX + base64.urlsafe_b64encode(bent).decode(), "call") is None
    for length in range(len(sealed)):
        assert SEAL.open(PREFIX + base64.urlsafe_b64encode(sealed[:length]).decode(), "call") is None


@pytest.mark.parametrize("state", ["", "v1.theirs", PREFIX, PREFIX + "a", PREFIX + "é", PREFIX + "A" * 400])
def test_what_was_never_sealed_does_not_open(state: str) -> None:
    assert SEAL.open(state, "call") is None


def test_sealed_text_that_holds_no_claims_does_not_open() -> None:
    sealed = NONCE + SEAL._cipher.encrypt(NONCE, b"\xc1", b"tools/call:call")
    assert SEAL.open(PREFIX + base64.urlsafe_b64encode(sealed).decode(), "call") is None


def test_question_is_known_again_by_its_own_key_only() -> None:
    question = SEAL.name(NONCE)
    assert question.startswith("gw-")
    assert Seal(b"secret").has_named(question)
    assert not Seal(b"other").has_named(question)


@pytest.mark.parametrize("question", ["", "gw-", "gw-1", "gw-" + "0" * 40, "theirs", "gw-\u0660" * 20])
def test_question_of_a_server_is_not_the_gateways(question: str) -> None:
    assert not SEAL.has_named(question)
    assert not SEAL.has_named(SEAL.name(NONCE).replace("gw-", "xx-"))
