"""Approvals in Redis: opened and used by any of several gateways, answered by people. Decides nothing about policy."""

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any

from sidecar.approvals.sqlite import MAX_PENDING, Approval, Verdict, approval, ms, new_id
from sidecar.errors import StoreError
from sidecar.ports import Answered, ApprovalRequest
from sidecar.redis import Redis, Script

SCRIPT = Script((files("sidecar.approvals") / "approvals.lua").read_text("utf-8"))

_COLUMNS = (
    *("id", "state", "server", "grant", "tool", "argument_keys", "rule", "message", "policy", "revision"),
    *("requested_ms", "expires_ms", "answered_ms", "answered_by", "reason"),
)


class RedisApprovals:
    """The port `Approvals` over one Redis, and the verbs of `regate approvals`, which wait in place.

    Times, bounds and what a person sees are those of `SqliteApprovals`; of one call, the latest hundred are found.
    """

    def __init__(self, redis: Redis, prefix: str, *, max_pending: int = MAX_PENDING) -> None:
        self._redis = redis
        self._prefix = prefix
        self._max_pending = max_pending

    async def find(self, fingerprint: str, now: datetime) -> Answered | None:
        """The newest unexpired, unused approval for this fingerprint. Raises: StoreError."""
        found = await self._run("find", now, fingerprint)
        return None if found is None else Answered(*(part.decode() for part in found))

    async def open(self, request: ApprovalRequest, now: datetime) -> str:
        """The id of a pending approval for this call; the one already pending, if there is one.

        Raises: StoreError (also when too many calls of this grant wait).
        """
        about = {
            "server": request.server,
            "tool": request.tool,
            "argument_keys": json.dumps(request.argument_keys),
            "rule": request.rule,
            "message": request.message,
            "policy": request.policy,
            "revision": request.revision,
        }
        fields = [part for pair in about.items() for part in pair]
        whose = (request.fingerprint, request.grant)
        opened = await self._run("open", now, new_id(), self._max_pending, request.ttl_s, *whose, *fields)
        if opened is None:
            raise StoreError(
                f"{self._max_pending} calls of this grant wait for approval already.",
                hint="Answer some of them (`regate approvals list`), or wait until they lapse.",
            )
        return str(opened.decode())

    async def waits(self, approval_id: str, now: datetime) -> bool:
        """Whether one is pending still: neither answered nor lapsed. Raises: StoreError."""
        return bool(await self._run("waits", now, approval_id) == b"1")

    async def answer(self, approval_id: str, granted: bool, by: str, now: datetime) -> bool:
        """The answer of the client's own user; False if somebody was first, or it lapsed. Raises: StoreError."""
        state = "approved" if granted else "refused"
        said = await self._run("answer", now, approval_id, state, "answered_by", by, "person", "user")
        return bool(said == b"done")

    async def take(self, approval_id: str, now: datetime) -> bool:
        """Uses an approved one up; True for exactly one caller. Raises: StoreError."""
        return bool(await self._run("take", now, approval_id) == b"1")

    async def give_back(self, approval_id: str) -> None:
        """Makes a taken one usable again until it lapses. Raises: StoreError."""
        await self._run("give_back", None, approval_id)

    def list(self, now: datetime, *, pending_only: bool = True) -> Sequence[Approval]:
        """What waits for an answer, or everything kept, oldest first. Raises: StoreError."""
        at = ms(now)
        rows = [_fields(flat) for flat in self._redis.run_now(SCRIPT, *self._asked("list", now))]
        rows.sort(key=lambda row: (int(row["requested_ms"]), int(row["number"])))
        seen = [approval([_value(row, name) for name in _COLUMNS], at) for row in rows]
        return [one for one in seen if not pending_only or one.state == "pending"]

    def approve(self, approval_id: str, by: str, now: datetime) -> Verdict:
        """Lets one identical call through. Raises: StoreError."""
        return self._answer(approval_id, now, "approved", "answered_by", by, "person", "operator")

    def refuse(self, approval_id: str, by: str, now: datetime, reason: str | None = None) -> Verdict:
        """Has identical calls told that they were refused, until that lapses. Raises: StoreError."""
        why = () if reason is None else ("reason", reason)
        return self._answer(approval_id, now, "refused", "answered_by", by, "person", "operator", *why)

    def _answer(self, approval_id: str, now: datetime, *given: str) -> Verdict:
        said: Verdict = self._redis.run_now(SCRIPT, *self._asked("answer", now, approval_id, *given)).decode()
        return said

    async def _run(self, verb: str, now: datetime | None, *given: str | int) -> Any:
        return await self._redis.run(SCRIPT, *self._asked(verb, now, *given))

    def _asked(self, verb: str, now: datetime | None, *given: str | int) -> tuple[Sequence[str], Sequence[str | int]]:
        at = 0 if now is None else ms(now)
        return [f"{self._prefix}round:{secrets.token_hex(16)}"], [verb, self._prefix, at, *given]


def _fields(flat: Sequence[bytes]) -> dict[str, str]:
    text = [part.decode("utf-8", "replace") for part in flat]
    return dict(zip(text[::2], text[1::2], strict=True))


def _value(row: Mapping[str, str], name: str) -> str | int | None:
    value = row.get(name)
    return int(value) if value is not None and name.endswith("_ms") else value
