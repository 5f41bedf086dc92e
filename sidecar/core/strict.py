"""JSON text, read so strictly that no two parsers can read it differently. Knows nothing of MCP.

Source: mcp-gateway.md G1, G2.
"""

import json
import re
from collections.abc import Callable
from json import JSONDecodeError
from json.scanner import c_make_scanner  # type: ignore[attr-defined]
from types import SimpleNamespace
from typing import Any, TypeAlias

import msgspec

from sidecar.errors import Malformed

PARSE_ERROR = -32700
_SPACE = " \t\n\r"
_first = re.compile(r"[ \t\n\r]*").match
_surrogate = re.compile(r"\\u[dD][89a-fA-F]").search


class Number(msgspec.Struct, frozen=True, gc=False):
    """A number as it was written. Never a Python number: those round, overflow or take quadratic time."""

    text: str


Json: TypeAlias = "bool | str | Number | list[Json] | dict[str, Json] | None"


def read(data: bytes) -> Json:
    """The one value in these bytes.

    Raises: Malformed (-32700 for what is not one UTF-8 JSON text without NaN, lone surrogates or bottomless
    nesting; -32600 for a member name that occurs twice in one object).
    """
    try:
        text = data.decode()
        value, end = _scan(text, 0 if text.startswith("{") else _first(text).end())  # type: ignore[union-attr]
        if end != len(text) and text[end:].strip(_SPACE):
            raise Malformed("The message has something after its end.", rpc_code=PARSE_ERROR)
        if "\\u" in text and _surrogate(text):
            json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeDecodeError:
        raise Malformed("The message is not UTF-8.", rpc_code=PARSE_ERROR) from None
    except UnicodeEncodeError:
        raise Malformed("The message holds half a surrogate pair.", rpc_code=PARSE_ERROR) from None
    except RecursionError:
        raise Malformed("The message is nested too deeply.", rpc_code=PARSE_ERROR) from None
    except (StopIteration, JSONDecodeError):
        raise Malformed("The message is not JSON.", rpc_code=PARSE_ERROR) from None
    return value  # type: ignore[no-any-return]


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("The message has the same member name twice in one object.")
    return members


def _constant(name: str) -> Json:
    raise Malformed(f"The message holds {name}, which is not JSON.", rpc_code=PARSE_ERROR)


def scanner(
    made: Callable[[list[tuple[str, Any]]], Any], constant: Callable[[str], Any], *, strict: bool = True
) -> Callable[[str, int], tuple[Any, int]]:
    """Python's own JSON scanner, in C, with numbers kept as written.

    It gives the value that begins at an index and where that ends. `made` makes an object of its members in order,
    doubled ones included; `constant` is asked what NaN and its like are; `strict` refuses control characters.
    Raises: StopIteration, JSONDecodeError, RecursionError, and what `made` and `constant` raise.
    """
    rules = SimpleNamespace(
        strict=strict,
        object_hook=None,
        object_pairs_hook=made,
        parse_float=Number,
        parse_int=Number,
        parse_constant=constant,
        memo={},
    )
    return c_make_scanner(rules)  # type: ignore[no-any-return]


_scan = scanner(_object, _constant)
