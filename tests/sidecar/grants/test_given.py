import pytest

from sidecar.errors import StoreError
from sidecar.grants import token as tokens
from sidecar.grants.given import GivenGrants
from sidecar.ports import Grant
from tests.fakes import FakeGrants

ONE, TWO, STORED = Grant("one", "s", "p"), Grant("two", "s", None), Grant("stored", "s", "p")
GIVEN = {tokens.digest(b"token-1"): ONE, tokens.digest(b"token-2"): TWO}


@pytest.mark.parametrize(
    ("token", "grant"), [(b"token-1", ONE), (b"token-2", TWO), (b"token-3", STORED), (b"token-4", None), (b"", None)]
)
def test_resolve_given_tokens_before_stored_ones(token: bytes, grant: Grant | None) -> None:
    stored = FakeGrants(by_token={b"token-1": STORED, b"token-3": STORED})
    assert GivenGrants(GIVEN, stored).resolve(token) == grant


def test_resolve_hash_of_a_token_is_no_token() -> None:
    assert GivenGrants(GIVEN, FakeGrants()).resolve(tokens.digest(b"token-1")) is None


def test_resolve_given_token_needs_no_store_others_do() -> None:
    grants = GivenGrants(GIVEN, FakeGrants(error=StoreError("locked")))
    assert grants.resolve(b"token-1") == ONE
    with pytest.raises(StoreError):
        grants.resolve(b"token-3")


def test_given_mapping_changed_later_changes_nothing() -> None:
    given = dict(GIVEN)
    grants = GivenGrants(given, FakeGrants())
    given.clear()
    assert grants.resolve(b"token-1") == ONE


def test_edition_is_that_of_the_stored_grants_since_given_ones_stay() -> None:
    stored = FakeGrants(by_token={b"token-3": STORED})
    grants = GivenGrants(GIVEN, stored)
    before = grants.edition()
    assert before == grants.edition() == stored.edition()
    del stored.by_token[b"token-3"]
    assert grants.edition() != before
    assert GivenGrants(GIVEN, None).edition() == GivenGrants({}, None).edition()


def test_resolve_without_a_store_given_tokens_only() -> None:
    grants = GivenGrants(GIVEN, None)
    assert grants.resolve(b"token-1") == ONE
    assert grants.resolve(b"token-3") is None
