"""The canonical hash of (server, grant, tool, arguments) that an approval is bound to.

Not RFC 8785: that rounds numbers, and 2^53 and 2^53+1 would share an approval.
Source: policy-semantics section 8.
"""

import hashlib
import json
from decimal import Decimal


def fingerprint(server: str, grant: str, tool: str, arguments: bytes) -> str:
    """The SHA-256, in hex, of the call's canonical form.

    `arguments` has passed `core.strict`: one JSON object without duplicate names, surrogates or odd numbers.
    """
    parsed = json.loads(arguments, parse_float=Decimal, parse_int=Decimal)
    text = "[" + ",".join(_canonical(part) for part in (server, grant, tool, parsed)) + "]"
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: object) -> str:
    match value:
        case dict():
            return "{" + ",".join(f"{_string(name)}:{_canonical(value[name])}" for name in sorted(value)) + "}"
        case list():
            return "[" + ",".join(map(_canonical, value)) + "]"
        case Decimal():
            return _number(value)
        case str():
            return _string(value)
        case _:
            return json.dumps(value)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _number(value: Decimal) -> str:
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    significant = text.rstrip("0")
    if not significant or not isinstance(exponent, int):
        return "0"
    return f"{'-' if sign else ''}{significant}e{exponent + len(text) - len(significant)}"
