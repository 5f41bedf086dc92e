"""OPA's result document → `Decision`. Anything off shape is refused, never read as an allow."""

from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from sidecar.errors import DecisionOffShape, DecisionUndefined

Outcome = Literal["allow", "deny", "approval_required"]
Window = Literal["minute", "hour", "day"] | Annotated[int, msgspec.Meta(ge=1, le=2_678_400)]

NO_POLICY = "(no policy)"
HIDDEN = "(hidden)"
DEFAULT_DENY = "(default deny)"
INVALID_ARGUMENTS = "(invalid arguments)"
UNAVAILABLE = "(unavailable)"

_EXPONENT = 1100
"""Beyond the ±1000 that arguments and policies may have (policy-semantics section 4)."""


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An obligation: reserve the sum of `amounts` before forwarding, unless that would pass `max`."""

    rule: str
    message: str
    counter: str
    window: Window
    max: Decimal
    scope: Literal["grant", "session", "server"]
    amounts: tuple[Decimal, ...]


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What policy says of one call. `rule` and `message` are empty exactly when it is allowed."""

    outcome: Outcome
    rule: str
    message: str
    revision: str
    limits: tuple[Limit, ...]
    ttl_s: int | None = None


class _Answer(msgspec.Struct):
    result: msgspec.Raw = msgspec.Raw(b"null")


class _Answers(msgspec.Struct):
    result: list[msgspec.Raw] | None = None


_SHORT_BYTES = 2048

_answer = msgspec.json.Decoder(_Answer).decode
_answers = msgspec.json.Decoder(_Answers).decode
_decision = msgspec.json.Decoder(Decision).decode


def parse(body: bytes) -> Decision:
    """The decision in the body of one `mcp/gate/decision` answer.

    Raises: DecisionUndefined (OPA has no value), DecisionOffShape.
    Source: opa.md section 2, policy-semantics section 7 (wrong shape is `(unavailable)`).
    """
    try:
        document = bytes(_answer(body).result)
        if document == b"null":
            raise DecisionUndefined("OPA has no decision for this call.")
        return _read(document)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DecisionOffShape("OPA's answer is not a decision document.") from error


def parse_many(body: bytes, count: int) -> list[Decision]:
    """The `count` decisions in the body of one `mcp/gate/decisions` answer, in order.

    Raises: DecisionUndefined, DecisionOffShape (also when the number of answers differs).
    """
    try:
        documents = _answers(body).result
        if documents is None:
            raise DecisionUndefined("OPA has no decisions for these calls.")
        if len(documents) != count:
            raise DecisionOffShape(f"OPA answered {len(documents)} of {count} calls.")
        return [_read(bytes(document)) for document in documents]
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DecisionOffShape("OPA's answer is not a list of decision documents.") from error


def _read(document: bytes) -> Decision:
    """The decision in these bytes. Short ones are kept: OPA says the same of most calls of a tool."""
    return _kept(document) if len(document) <= _SHORT_BYTES else _kept.__wrapped__(document)


@lru_cache(maxsize=1024)
def _kept(document: bytes) -> Decision:
    decision = _decision(document)
    if decision.ttl_s is not None and (decision.outcome != "approval_required" or decision.ttl_s < 1):
        raise DecisionOffShape("OPA gave a time to live to what has none.")
    if decision.outcome == "allow":
        if decision.rule or decision.message or not decision.revision:
            raise DecisionOffShape("OPA allowed a call and named a rule, or no revision.")
        if not all(map(_is_whole, decision.limits)):
            raise DecisionOffShape("OPA named a limit without a name, a maximum or a countable amount.")
    elif not decision.rule or not decision.message or decision.limits:
        raise DecisionOffShape("OPA refused a call without a rule or a message, or with limits.")
    return decision


def _is_whole(limit: Limit) -> bool:
    if not (limit.rule and limit.message and limit.counter and limit.amounts and _is_countable(limit.max)):
        return False
    return all(map(_is_countable, limit.amounts))


def _is_countable(number: Decimal) -> bool:
    """Not negative, and of a size at which sums stay exact (`core.limits`)."""
    return number.is_finite() and number >= 0 and (not number or abs(number.adjusted()) <= _EXPONENT)
