"""Windows, amounts and counter keys: a decision's limits → claims. No clock: `now` is given."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact
from functools import lru_cache

import msgspec

from sidecar.core.decision import Limit, Window

_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_ZERO = Decimal(0)
_EXACT = Context(prec=4096, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact])


class Claim(msgspec.Struct, frozen=True):
    """The amount one call asks of one counter in one window.

    Units: window bounds are whole seconds since the Unix epoch, end exclusive.
    """

    key: str
    window_start: int
    window_end: int
    amount: Decimal
    max: Decimal


def window_s(window: Window) -> int:
    """The length of a window in seconds."""
    return window if isinstance(window, int) else _SECONDS[window]


def epoch_s(now: datetime) -> int:
    """Whole seconds since the Unix epoch, rounded down. A float would round up, the further from the epoch the more."""
    return (now - _EPOCH) // _SECOND


add = _EXACT.add
"""The exact sum of two. Raises: decimal.Inexact beyond 4,096 digits, never a rounded answer."""

subtract = _EXACT.subtract
"""The exact difference of two. Raises: decimal.Inexact beyond 4,096 digits."""


def claims(limits: Sequence[Limit], server: str, grant: str, session: str | None, now: datetime) -> list[Claim]:
    """One claim per limit, in the limits' order.

    Windows are aligned to the Unix epoch, which for minute, hour and day is the UTC calendar.
    Source: policy-semantics section 7 (identity, windows, amounts).
    """
    at = epoch_s(now)
    made = []
    for limit in limits:
        length = window_s(limit.window)
        start = at - at % length
        amount = _ZERO
        for part in limit.amounts:
            if part:  # a zero such as 0e-900 would only lengthen the sum
                amount = add(amount, part)
        key = _key(limit.scope, limit.counter, length, server, grant, session)
        made.append(Claim(key, start, start + length, amount, limit.max))
    return made


def retry_at(claim: Claim) -> str | None:
    """When the claim's window ends (RFC 3339, Z), or None when the amount alone passes the maximum."""
    if claim.amount > claim.max:
        return None
    return datetime.fromtimestamp(claim.window_end, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=4096)
def _key(scope: str, counter: str, length: int, server: str, grant: str, session: str | None) -> str:
    parts: tuple[str, ...] = (server, scope, counter, str(length))
    if scope != "server":
        parts += (grant,)
    if scope == "session" and session is not None:
        parts += (session,)
    return "/".join(part.replace("~", "~0").replace("/", "~1") for part in parts)
