"""What a gateway that runs on this machine has in force: a policy's document, its grants and its counters. Read only.

The gateway is asked with the operator's token, which lies in its state directory beside its counters. Whoever cannot
read that directory learns nothing; the token goes to no address but the one noted in there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from sidecar import __version__, statedir
from sidecar.cli import operator
from sidecar.errors import CannotDecide

if TYPE_CHECKING:
    from decimal import Decimal

    from sidecar.core.limits import Claim

_ANY = ("0.0.0.0", "::")  # noqa: S104 - addresses that a gateway may say it listens on
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class InForce:
    """A policy as a gateway has it, and the grants under it, id → server."""

    revision: str
    document: bytes
    approval_map: tuple[str, ...]
    grants: dict[str, str]
    counts_in_redis: bool = False

    def standing(self, state: Path, asked: "Sequence[Claim]") -> "list[Decimal]":
        """What the counters of these claims stand at. Raises: CannotDecide, StoreError."""
        if self.counts_in_redis and asked:
            raise CannotDecide(
                "The gateway counts in Redis, which is not asked.",
                hint="Name the policy's file instead, without --gateway: then counters are empty.",
            )
        return standing(state, asked)


def policy(url: str, state: Path, policy_id: str) -> InForce:
    """What the gateway at `url`, which uses this state directory, has in force under an id. Raises: CannotDecide."""
    gateway = next((each for each in statedir.running(state) if _same(each.url, url)), None)
    if gateway is None:
        raise CannotDecide(
            f"No gateway at {url} runs on the state directory {state}.",
            hint="It must run on this machine; name its state directory with --state. `regate status` says what runs.",
        )
    found = operator.asked(gateway.url, statedir.operator_token(state), f"/policies/{quote(policy_id, safe='')}")
    if found is None:
        raise CannotDecide(
            f"The gateway at {url} tells no policy {policy_id}.", hint="`regate status` names those it has."
        )
    if found.get("version") != __version__:
        raise CannotDecide(f"The gateway at {url} is of another version.", hint="Use the regate that it runs with.")
    grants = {grant["id"]: grant["server"] for grant in found["grants"]}
    return InForce(
        found["revision"],
        found["document"].encode(),
        tuple(found["approval_map"]),
        _stored(state, policy_id) | grants,
        found["counts_in_redis"],
    )


def standing(state: Path, asked: "Sequence[Claim]") -> "list[Decimal]":
    """What the counters of these claims stand at. Raises: StoreError."""
    from sidecar.counters import sqlite
    from sidecar.database import Reader

    reader = Reader(state / "state.sqlite", "state")
    try:
        return sqlite.standing(reader, asked)
    finally:
        reader.close()


def _stored(state: Path, policy_id: str) -> dict[str, str]:
    from sidecar.database import Reader
    from sidecar.grants import sqlite

    reader = Reader(state / "state.sqlite", "state")
    try:
        issued = sqlite.issued(reader)
    finally:
        reader.close()
    return {grant.id: grant.server for grant in issued if grant.policy == policy_id and grant.revoked_at is None}


def _same(ours: str, given: str) -> bool:
    """Do two addresses name one listener? A name for this machine is as good as another."""
    one, other = urlsplit(ours), urlsplit(given)
    try:
        same_port = one.port == (other.port or 80)
    except ValueError:
        return False
    here = one.hostname in (*_ANY, *_LOCAL) and other.hostname in _LOCAL
    return same_port and (one.hostname == other.hostname or here or one.hostname in _ANY)
