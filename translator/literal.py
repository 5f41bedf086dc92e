"""Value → Rego source: the only way text of a policy enters a module. Nothing here knows what a rule is."""

import re
from collections.abc import Callable
from decimal import Decimal

from translator.program import Json, Number

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYWORD = re.compile("as|contains|default|else|every|false|if|import|in|not|null|package|some|true|with")
# What a reader cannot see, or what moves or turns the text around it: controls, spaces that are no space,
# joiners, bidirectional marks, variation selectors, private use, noncharacters, tags.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f"
    "\u3000\u3164\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U000e0000-\U0010ffff]"
)
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MAX_PLAIN = 21


def string(text: str) -> str:
    """The text as a Rego string on one line, with nothing in it that a reader cannot see."""
    return _quoted(text, _units)


def note(text: str) -> str:
    """The text in quotes for a comment or an annotation, where Rego's own escapes would not be read."""
    return _quoted(text, _wide)


def number(value: Decimal) -> str:
    """The number's one canonical text: `60` for 60.0, `1.5e400` where digits alone would be long."""
    sign, digits, _ = value.as_tuple()
    if not value:
        return "0"
    text = "".join(map(str, digits)).rstrip("0")
    power = value.adjusted()
    if -7 < power < _MAX_PLAIN:
        plain = text.ljust(power + 1, "0") if power >= 0 else "0" * -power + text
        whole, fraction = plain[: max(power, 0) + 1], plain[max(power, 0) + 1 :]
        mantissa = f"{whole}.{fraction}" if fraction else whole
        return f"-{mantissa}" if sign else mantissa
    mantissa = f"{text[0]}.{text[1:]}" if len(text) > 1 else text
    return f"{'-' if sign else ''}{mantissa}e{power}"


def value(json: Json) -> str:
    """Any JSON value as a Rego term on one line; the members of an object keep their order."""
    if isinstance(json, str):
        return string(json)
    if isinstance(json, Number):
        return number(json.value)
    if isinstance(json, list):
        return f"[{', '.join(map(value, json))}]"
    if isinstance(json, dict):
        return "{" + ", ".join(f"{string(key)}: {value(member)}" for key, member in json.items()) + "}"
    return {None: "null", True: "true", False: "false"}[json]


def step(name: str) -> str:
    """The last step of a reference, `.name` or `["any name"]`, as `opa fmt` writes it."""
    if _IDENTIFIER.fullmatch(name) and not _KEYWORD.fullmatch(name):
        return f".{name}"
    return f"[{string(name)}]"


def _quoted(text: str, escape: Callable[[int], str]) -> str:
    visible = re.sub(r'["\\]', lambda found: _SHORT[found[0]], text)
    return f'"{_INVISIBLE.sub(lambda found: _SHORT.get(found[0]) or escape(ord(found[0])), visible)}"'


def _units(code: int) -> str:
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def _wide(code: int) -> str:
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
