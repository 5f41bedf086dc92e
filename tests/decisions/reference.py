"""A second opinion: policy-semantics read into plain Python, section by section, over the policy document itself.

It shares no code with the translator, the Rego or the gateway, and no reader of theirs may be imported here.
It takes valid documents only.
"""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import re2

UNDETERMINED = "undetermined"
NAMED_WINDOWS = {"minute": 60, "hour": 3600, "day": 86400}
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


class Number:
    """A JSON number: its text, and its exact value unless that is out of section 4's bounds."""

    def __init__(self, text: str) -> None:
        self.text = text
        mantissa, _, exponent = text.lower().partition("e")
        whole, _, fraction = mantissa.lstrip("-").partition(".")
        digits = (whole + fraction).strip("0")
        self.value: Fraction | None = Fraction(0)
        if digits:
            leading = len((whole + fraction).lstrip("0"))
            scientific = int(Decimal(exponent or "0")) + leading - len(fraction) - 1
            inside = len(digits) <= 100 and abs(scientific) <= 1000
            self.value = Fraction(text) if inside else None


class Repeated(dict[str, Any]):
    """An object in which a member name came twice."""


def parsed(text: str) -> Any:
    """JSON with exact numbers. Raises: ValueError."""

    def an_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        return made if len(made) == len(pairs) else Repeated(made)

    def no_constant(name: str) -> Any:
        raise ValueError(name)

    return json.loads(
        text, parse_int=Number, parse_float=Number, parse_constant=no_constant, object_pairs_hook=an_object
    )


# Section 4: arguments.


def nodes(value: Any, depth: int = 1) -> Iterator[tuple[Any, int]]:
    """Every value inside, and how many arrays and objects it is in, its own included."""
    yield value, depth
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from nodes(each, depth + 1)


def texts(value: Any) -> Iterator[str]:
    for each, _ in nodes(value):
        if isinstance(each, dict):
            yield from each
        elif isinstance(each, str):
            yield each


def fault(text: str) -> str | None:
    """What section 4 has against these arguments."""
    try:
        arguments = parsed(text)
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        return "Tool arguments must be a JSON object."
    inside = list(nodes(arguments))
    if any(isinstance(value, Repeated) for value, _ in inside):
        return "Duplicate key in tool arguments."
    if any(isinstance(value, Number) and value.value is None for value, _ in inside):
        return "Number out of range in tool arguments."
    if any(depth > 128 for value, depth in inside if isinstance(value, dict | list)):
        return "Tool arguments are nested too deeply."
    if any("\ud800" <= char <= "\udfff" for each in texts(arguments) for char in each):
        return "Invalid Unicode in tool arguments."
    return None


# Section 5: conditions.


def kind(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null", Number: "number"}
    return next(name for type_, name in names.items() if isinstance(value, type_))


def equal(left: Any, right: Any) -> bool:
    if kind(left) != kind(right):
        return False
    if isinstance(left, Number):
        return left.value == right.value
    if isinstance(left, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal(left[name], right[name]) for name in left)
    return bool(left == right)


def found(value: Any, segments: Sequence[str]) -> list[Any]:
    """The values at a path; None is absent."""
    if not segments or value is None:
        return [value]
    first, rest = segments[0], segments[1:]
    if isinstance(value, dict):
        return found(value.get(first), rest)
    if isinstance(value, list):
        if first == "*":
            return [leaf for element in value for leaf in found(element, rest)] or [None]
        if re.fullmatch("0|[1-9][0-9]*", first, re.ASCII) and int(first) < len(value):
            return found(value[int(first)], rest)
    return [None]


def at_path(arguments: Any, path: str) -> list[Any]:
    return found(arguments, path.split(".")[1:])


def as_number(value: Any) -> Any:
    """A number, or a numeric string's number, or None where the rule cannot judge."""
    if isinstance(value, str) and NUMBER.fullmatch(value):
        value = Number(value)
    return value if isinstance(value, Number) and value.value is not None else None


def answer(condition: dict[str, Any], value: Any) -> bool | str:
    """True, False or undetermined, for one value."""
    op, wanted = condition["op"], condition["value"]
    if op == "exists":
        return (value is not None) is wanted
    if value is None:
        return False
    if condition.get("as") == "number":
        value = as_number(value)
        if value is None:
            return UNDETERMINED
    if op in ("eq", "neq"):
        return UNDETERMINED if kind(value) != kind(wanted) else equal(value, wanted) is (op == "eq")
    if op in ("in", "not_in"):
        if wanted and all(kind(value) != kind(element) for element in wanted):
            return UNDETERMINED
        return any(equal(value, element) for element in wanted) is (op == "in")
    return text_answer(op, value, wanted) if op in ("regex", "contains") else ordered(op, value, wanted)


def text_answer(op: str, value: Any, wanted: Any) -> bool | str:
    if op == "contains" and isinstance(value, list):
        return any(equal(element, wanted) for element in value)
    if not isinstance(value, str) or not isinstance(wanted, str):
        return UNDETERMINED
    return re2.search(wanted, value) is not None if op == "regex" else wanted in value


def ordered(op: str, value: Any, wanted: Number) -> bool | str:
    if not isinstance(value, Number) or value.value is None or wanted.value is None:
        return UNDETERMINED
    left, right = value.value, wanted.value
    return {"lt": left < right, "lte": left <= right, "gt": left > right, "gte": left >= right}[op]


def holds(item: dict[str, Any], arguments: Any) -> bool:
    """A `require` item: every condition true, for all that its path finds."""
    return all(
        answer(condition, value) is True
        for condition in item["conditions"]
        for value in at_path(arguments, condition["path"])
    )


def fires(item: dict[str, Any], arguments: Any) -> bool:
    """A `deny_if` or `require_approval` item: every condition true or undetermined, for any that its path finds."""
    return all(
        any(answer(condition, value) is not False for value in at_path(arguments, condition["path"]))
        for condition in item["conditions"]
    )


# Sections 1, 3, 8 and 9: the document, its shorthands, rule ids.


def item_of(written: Any) -> dict[str, Any]:
    """An item in its long form."""
    if isinstance(written, str):
        written = {"path": written, "op": "exists", "value": True}
    if "path" not in written:
        return {"conditions": [], **written}
    condition = {name: written[name] for name in ("path", "op", "value", "as") if name in written}
    return {**written, "conditions": [condition]}


def name_of(item: dict[str, Any]) -> str:
    if "counter" in item:
        return str(item["counter"])
    return "+".join(f"{each['path']}-{each['op']}" for each in item["conditions"]) or "always"


def with_ids(items: list[dict[str, Any]], place: str) -> list[dict[str, Any]]:
    """The items with their rule ids: a repeated name is numbered, past any number that is a name itself."""
    names = [name_of(item) for item in items]
    taken: set[str] = set()
    numbered = []
    for item, name in zip(items, names, strict=True):
        chosen, count = name, 1
        while chosen in taken or (count > 1 and chosen in names):
            count += 1
            chosen = f"{name}#{count}"
        taken.add(chosen)
        numbered.append({**item, "rule": f"{place}/{chosen.replace('~', '~0').replace('/', '~1')}"})
    return numbered


def section_of(written: dict[str, Any], place: str, tool: str, approval_map: Sequence[str]) -> dict[str, Any]:
    """The rules of a tool, or of all tools, without shorthands and with their ids."""
    lists = {name: list(written.get(name, [])) for name in ("require", "deny_if", "require_approval", "limits")}
    reason = written.get("reason", "")
    if written.get("action") == "deny":
        lists["deny_if"].append({"conditions": [], "on_deny": reason})
    if written.get("action") == "require_approval":
        lists["require_approval"].append({"message": reason})
    if "rate_limit" in written:
        block = written["rate_limit"]
        named = {Fraction(seconds): name for name, seconds in NAMED_WINDOWS.items()}
        window = named.get(block["window"].value, block["window"])
        lists["limits"].append(
            {"counter": f"{tool.lower()}_rate", "window": window, "max": block["max"], "scope": "session"}
        )
    made = {
        name: with_ids([item_of(item) if name != "limits" else item for item in items], f"{place}/{name}")
        for name, items in lists.items()
    }
    texts_ = [text for text in approval_map if text]
    mapped = [item for item in made["deny_if"] if not item["conditions"] and item.get("on_deny") in texts_]
    made["deny_if"] = [item for item in made["deny_if"] if item not in mapped]
    made["require_approval"][:0] = [{**item, "message": item["on_deny"]} for item in mapped]
    return made


class Gateway:
    """One server behind one policy (None: the grant has none), and its counters."""

    def __init__(self, policy: dict[str, Any] | None, approval_map: Sequence[str] = ()) -> None:
        self.policy = policy
        self.approval_map = approval_map
        self.counters: dict[tuple[Any, ...], Fraction] = {}

    def hidden(self) -> set[str]:
        policy = self.policy or {}
        by_action = {name for name, tool in policy.get("tools", {}).items() if tool.get("action") == "hide"}
        return {*policy.get("hide", []), *by_action}

    def visible(self, names: Sequence[str]) -> list[str]:
        """Section 6."""
        hidden = self.hidden()
        return [] if self.policy is None or "*" in hidden else [name for name in names if name not in hidden]

    def sections(self, tool: str) -> list[dict[str, Any]]:
        policy = self.policy or {}
        pointer = tool.replace("~", "~0").replace("/", "~1")
        own = section_of(policy.get("tools", {}).get(tool, {}), f"/tools/{pointer}", tool, self.approval_map)
        return [own, section_of(policy.get("all_tools", {}), "/all_tools", "", self.approval_map)]

    def call(self, call: dict[str, Any]) -> dict[str, Any]:
        """Section 2. `call` is as in a case file, with `text` for its arguments' JSON text."""
        tool, text = call["tool"], call["text"]
        if self.policy is None:
            return denial("(no policy)", "No policy is attached to this grant.")
        if tool in self.hidden() or "*" in self.hidden():
            return denial("(hidden)", f'Tool "{tool}" is hidden by policy')
        if self.policy["default"] == "deny" and tool not in self.policy.get("tools", {}):
            return denial("(default deny)", f'Tool "{tool}" is not permitted by policy')
        text = "{}" if text.strip(" \t\r\n") == "null" else text
        wrong = fault(text)
        if wrong is not None:
            return denial("(invalid arguments)", wrong)
        arguments, sections = parsed(text), self.sections(tool)
        stopped = self.stopped(sections, arguments, call.get("approval"))
        return stopped or self.counted([limit for each in sections for limit in each["limits"]], arguments, call)

    def stopped(self, sections: list[dict[str, Any]], arguments: Any, approval: str | None) -> dict[str, Any] | None:
        """Steps 5 to 8."""
        for section in sections:
            for item in section["require"]:
                if not holds(item, arguments):
                    return denial(item["rule"], item.get("on_deny") or f'Denied by rule "{item["rule"]}"')
            for item in section["deny_if"]:
                if fires(item, arguments):
                    return denial(item["rule"], item.get("on_deny") or f'Denied by rule "{item["rule"]}"')
        for item in (item for section in sections for item in section["require_approval"]):
            if fires(item, arguments) and approval != "granted":
                if approval == "refused":
                    return denial(item["rule"], "Approval was refused.")
                message = item.get("message") or "Requires human approval."
                return {**denial(item["rule"], message), "outcome": "approval_required"}
        return None

    # Section 7.

    def counted(self, limits: list[dict[str, Any]], arguments: Any, call: dict[str, Any]) -> dict[str, Any]:
        amounts = [amount(limit, arguments) for limit in limits]
        for limit, asked in zip(limits, amounts, strict=True):
            if asked is None:
                path = limit["increment_from"]
                message = f"Cannot count this call: {path} is missing or not a non-negative number."
                return denial(limit["rule"], message)
        now = (datetime.fromisoformat(call["at"]) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
        adding: dict[tuple[Any, ...], Fraction] = {}
        for limit, asked in zip(limits, amounts, strict=True):
            assert asked is not None
            length = seconds(limit["window"])
            start = now // length * length
            key = (limit["counter"], length, start, *scope_key(limit.get("scope", "grant"), call))
            if self.counters.get(key, Fraction(0)) + asked > limit["max"].value:
                retry_at = None if asked > limit["max"].value else moment(start + length)
                return {**denial(limit["rule"], limit_message(limit)), "retry_at": retry_at}
            adding[key] = asked
        if call.get("upstream") != "error":
            for key, asked in adding.items():
                self.counters[key] = self.counters.get(key, Fraction(0)) + asked
        return {"outcome": "allow", "rule": "", "message": "", "retry_at": None}


def amount(limit: dict[str, Any], arguments: Any) -> Fraction | None:
    """What the call adds, or None when it cannot be counted."""
    if "increment_from" not in limit:
        return limit["increment"].value if "increment" in limit else Fraction(1)  # type: ignore[no-any-return]
    values = at_path(arguments, limit["increment_from"])
    if limit.get("as") == "number":
        values = [as_number(value) for value in values]
    if not all(isinstance(value, Number) and value.value >= 0 for value in values):
        return None
    return sum((value.value for value in values), Fraction(0))


def seconds(window: Any) -> int:
    return int(window.value) if isinstance(window, Number) else NAMED_WINDOWS[window]


def scope_key(scope: str, call: dict[str, Any]) -> tuple[Any, ...]:
    session = call.get("session")
    return {"server": (), "grant": ("grant", call["grant"]), "session": ("session", call["grant"], session)}[scope]


def limit_message(limit: dict[str, Any]) -> str:
    window = limit["window"]
    told = window if isinstance(window, str) else f"{int(window.value)} seconds"
    kind_ = "Limit" if "increment_from" in limit else "Rate limit"
    return limit.get("on_deny") or f"{kind_} of {limit['max'].text} per {told} reached. Try again later."


def moment(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def denial(rule: str, message: str) -> dict[str, Any]:
    return {"outcome": "deny", "rule": rule, "message": message, "retry_at": None}
