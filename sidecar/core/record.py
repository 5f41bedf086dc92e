"""What the audit log keeps of one call: argument keys only, never values."""

from datetime import datetime
from typing import Protocol

import msgspec


class AuditRecord(msgspec.Struct, frozen=True):
    """One call, or one message refused before policy ran.

    `outcome` is `allow`, `deny`, `approval_required` or `refused` (before policy). `result` says how an
    allowed call ended: `result`, `tool_error`, `input_required` (the server asks for more first), `error` (JSON-RPC
    error), `http_error`, `unreachable` (nothing was sent), `unknown` (sent, no readable answer), or empty. `cause`
    names why under `(unavailable)` and `refused`. `person` answered the approval: `operator`, `user` (of the
    client), or empty.

    Units: `at` is RFC 3339 with milliseconds and Z; `duration_ms` covers the whole call.
    """

    at: str
    server: str
    grant: str
    method: str
    tool: str
    argument_keys: tuple[str, ...]
    policy: str
    revision: str
    outcome: str
    rule: str
    message: str
    result: str = ""
    cause: str = ""
    approval: str = ""
    session: str = ""
    duration_ms: float = 0.0
    person: str = ""

    def record(self) -> "AuditRecord":
        """Itself: an entry of the audit log that is made up already."""
        return self


class Entry(Protocol):
    """What the audit log is given of one call. Its record may be made up later, off the path of the call."""

    def record(self) -> AuditRecord:
        """The record; the same whenever it is asked for."""
        ...


def written(at: datetime) -> str:
    """The instant as a record holds it: RFC 3339 in UTC, with milliseconds and Z."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
