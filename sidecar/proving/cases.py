"""Case files: what a policy shall answer to which calls, one case on a line. Reads and judges the file, runs nothing.

Source: policy-semantics section 13.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import UNSET, UnsetType

from sidecar.proving.members import Malformed, elements, members, plain

T = TypeVar("T")
Dialect = Literal["json", "intercept-yaml", "rules-yaml"]

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII).fullmatch
_FIRST, _LAST = datetime(1, 2, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)
_SURROGATE = re.compile("[\ud800-\udfff]")
_KEPT_RAW = ("policy", "arguments")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a case file. Units: `line` counts from 1."""

    line: int
    message: str
    hint: str = ""


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One call. `arguments` and `arguments_raw` are JSON text; one of them, or neither."""

    tool: str
    at: str
    grant: str
    session: str | None = None
    arguments: str | UnsetType = UNSET
    arguments_raw: str | UnsetType = UNSET
    upstream: Literal["ok", "error", "tool_error"] = "ok"
    approval: Literal["granted", "refused", "expired"] | None = None

    def __post_init__(self) -> None:
        if self.arguments is not UNSET and self.arguments_raw is not UNSET:
            raise ValueError("has both arguments and arguments_raw")
        moment(self.at)
        for text in (self.tool, self.grant, self.session or ""):
            if _SURROGATE.search(text):
                raise ValueError("has half a surrogate pair in a name")

    def arguments_text(self) -> bytes:
        """The arguments as the gateway is given them: absent and null are `{}`."""
        text = self.arguments if self.arguments_raw is UNSET else self.arguments_raw
        raw = _bytes("{}" if text is UNSET else text)
        return b"{}" if raw.strip(b" \t\r\n") == b"null" else raw


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a call's answer shall be; a member that is absent is not looked at. `at` is for an invalid policy."""

    outcome: Literal["allow", "deny", "approval_required", "invalid_policy"]
    rule: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    retry_at: str | UnsetType | None = UNSET
    at: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.outcome == "invalid_policy") is not (self.at is not UNSET):
            raise ValueError("has `at` (a pointer) for an invalid policy, and for nothing else")


class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names that an upstream lists, and those of them that shall be seen."""

    upstream: list[str]
    visible: list[str]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the policy is translated."""

    approval_map: tuple[str, ...] = ()


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    title: str = ""
    basis: Literal["docs", "seed", "intercept", "choice", ""] = ""
    policy: str | UnsetType = UNSET
    policy_text: str | UnsetType = UNSET
    dialect: Dialect = "json"
    options: Options = Options()
    listing: Listing | None = msgspec.field(default=None, name="list")


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a case file.

    `policy` is the document as written, the case's own or the one given for those without (`lent`); None means that
    the grant has none.
    """

    line: int
    id: str
    title: str
    policy: bytes | None
    dialect: Dialect
    approval_map: tuple[str, ...]
    calls: tuple[Call, ...]
    expect: tuple[Expected, ...]
    listing: Listing | None
    lent: bool = False

    @property
    def invalid_at(self) -> str | None:
        """The pointer at which the policy shall be refused, or None if it shall be good."""
        first = self.expect[0] if self.expect else None
        return first.at if first is not None and isinstance(first.at, str) else None


def read(data: bytes, policy: bytes | UnsetType = UNSET) -> tuple[list[Case], list[Fault]]:
    """Every case of a file and every fault: a line with a fault is no case.

    `policy` is for cases that bring none of their own.
    """
    cases: list[Case] = []
    faults: list[Fault] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip(b" \t\r"):
            continue
        found: list[Fault] = []
        case = _case(number, line, policy, found)
        faults += found
        if case is not None and not found:
            cases.append(case)
    return cases, faults


def moment(text: str) -> datetime:
    """The instant that RFC 3339 text names, cut to microseconds. Raises: ValueError."""
    if not _RFC3339(text):
        raise ValueError(f"has a time that is not RFC 3339: {text[:60]}")
    try:
        at = datetime.fromisoformat(text.upper())
        inside = _FIRST < at < _LAST
    except (ValueError, OverflowError):
        inside = False
    if not inside:
        raise ValueError(f"has a time that no calendar here knows: {text[:60]}")
    return at


def _case(number: int, line: bytes, fallback: bytes | UnsetType, faults: list[Fault]) -> Case | None:
    def say(message: str, hint: str = "") -> None:
        faults.append(Fault(number, message, hint))

    if line.startswith(b"\xef\xbb\xbf"):
        say("the file begins with a byte order mark", "save it as UTF-8 without one")
        return None
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        say(f"is not UTF-8 (byte {error.start + 1})", "save the file as UTF-8")
        return None
    try:
        parts = members(text)
    except Malformed as error:
        say(f"column {error.at + 1}: {error}", "a case is one JSON object on one line")
        return None
    calls = list(_each("calls", parts.pop("calls", "[]"), Call, say))
    expect = list(_each("expect", parts.pop("expect", "[]"), Expected, say))
    head = _converted("", parts, _Line, say)
    if head is None or faults:
        return None
    policy = _policy(head, fallback, say)
    case = Case(
        number,
        head.id,
        head.title,
        None if policy is UNSET else policy,
        head.dialect,
        head.options.approval_map,
        tuple(calls),
        tuple(expect),
        head.listing,
        lent=head.policy is UNSET and head.policy_text is UNSET,
    )
    _check_counts(case, say)
    return case


def _each(name: str, text: str, shape: type[T], say: Callable[..., None]) -> Iterator[T]:
    """The elements of the array `name`, each of its shape; faults are said."""
    try:
        texts = elements(text)
    except Malformed as error:
        say(f"{name}: {error}", f"{name} is an array of objects")
        return
    for index, element in enumerate(texts):
        try:
            parts = members(element)
        except Malformed as error:
            say(f"{name}[{index}]: {error}", f"{name} is an array of objects")
            continue
        one = _converted(f"{name}[{index}]", parts, shape, say)
        if one is not None:
            yield one


def _converted(where: str, parts: dict[str, str], shape: type[T], say: Callable[..., None]) -> T | None:
    values: dict[str, Any] = {}
    try:
        for name, text in parts.items():
            values[name] = text if name in _KEPT_RAW else plain(text)
        return msgspec.convert(values, shape)
    except Malformed as error:
        say(f"{where}.{name}: {error}".lstrip("."))
    except UnicodeEncodeError:
        say(f"{where}: holds half a surrogate pair".removeprefix(": "))
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        place = place.rstrip("`")
        told = f"{where}{place}".lstrip(".")
        say(f"{told}: {_lower(what)}".removeprefix(": "), _hint(what, place.lstrip("."), shape))
    return None


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _hint(message: str, place: str, shape: type) -> str:
    kinds = {field.encode_name: field.type for field in msgspec.structs.fields(shape)}
    if "unknown field" in message:
        return f"the members here are {', '.join((*kinds, *(('calls', 'expect') if shape is _Line else ())))}"
    kind = kinds.get(place)
    choices = [get_args(part) for part in (kind, *get_args(kind)) if get_origin(part) is Literal]
    return f"one of {', '.join(filter(None, choices[0]))}" if choices else ""


def _policy(head: _Line, fallback: bytes | UnsetType, say: Callable[..., None]) -> bytes | UnsetType | None:
    if head.policy is not UNSET and head.policy_text is not UNSET:
        say("has both policy and policy_text", "keep one")
    elif head.policy_text is not UNSET:
        return _bytes(head.policy_text)
    elif head.policy is not UNSET:
        return None if head.policy == "null" else _bytes(head.policy)
    elif fallback is UNSET:
        say("has no policy", "add policy (null: the grant has none) or policy_text, or name one with --policy")
    return fallback


def _check_counts(case: Case, say: Callable[..., None]) -> None:
    if any(expected.outcome == "invalid_policy" for expected in case.expect):
        if len(case.expect) > 1 or case.calls or case.listing:
            say("expects an invalid policy and something else", "such a case has one expectation and no calls")
    elif len(case.expect) != len(case.calls):
        counts = f"calls: {len(case.calls)}, expect: {len(case.expect)}"
        say(f"has other counts ({counts})", "expect takes one object for each call, in order")
    elif not case.calls and case.listing is None:
        say("has nothing to try", "add calls and expect, or list")


def _bytes(text: str) -> bytes:
    """The text in UTF-8; half a surrogate pair becomes the escape that JSON writes for it."""
    return _SURROGATE.sub(lambda half: f"\\u{ord(half.group()):04x}", text).encode()
