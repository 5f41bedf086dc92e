"""Text of a YAML scalar → value, exactly. Knows YAML 1.1 and where other readers differ; nothing of documents.

Source: YAML 1.1, and its type repository (yaml.org/type: bool, float, int, null, timestamp).
"""

import re
from dataclasses import dataclass
from typing import TypeAlias

from translator.number import OUT_OF_RANGE, number
from translator.program import Number
from translator.report import shorten

Scalar: TypeAlias = "bool | str | Number | None"
CORE = "tag:yaml.org,2002:"
_NULL = ("", "~", "null", "Null", "NULL")
_TRUE = ("yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
_FALSE = ("no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
_TYPES: dict[str, type] = {"bool": bool, "null": type(None), "int": Number, "float": Number}
_NUMERIC = re.compile(r"[-+.]?[0-9]")
_JSON = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?([eE][+-]?[0-9]++)?")
_EXPONENT = re.compile(r"[^.]++\.[^.]*[eE][+-][0-9]++")
"""The only form with an exponent that YAML 1.1 takes for a number."""
_RADIX = re.compile(r"([-+]?)0([bx]?)([0-9a-fA-F_]++)")
_BASES = {"b": 2, "": 8, "x": 16}
_SEXAGESIMAL = re.compile(r"([-+]?)((?:[1-9]|(?=[^.]++\.)0)[0-9_]*+(?::[0-5]?[0-9])+)(\.[0-9_]*+)?")
_DECIMAL = re.compile(r"([-+]?)([0-9][0-9_]*+)?(?:\.([0-9_]*+)([eE][-+][0-9]++)?)?")
_NEWER = re.compile(r"[-+]?(?:0o[0-7]++|0[0-9]++|[0-9_]*+(?:\.[0-9_]*+)?[eE][-+]?[0-9]++)")
"""Numbers of YAML 1.2, or of its readers, that are text in YAML 1.1."""
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]++)[0-9]{1,2}:[0-9]{2}:[0-9]{2}.*+)?")
_MAX_CHARS = 3_000
"""In another base than ten: more is out of range, and would take long to turn into decimal digits."""


@dataclass(frozen=True, slots=True)
class Read:
    """The value. `surprise` tells how it was read, where other readers of YAML read something else."""

    value: Scalar
    surprise: str = ""


class Unreadable(Exception):
    """The text has no JSON value. `message` says why, `hint` what to write."""

    def __init__(self, message: str, hint: str = "put it in quotes to make it text") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def plain(text: str) -> Read:
    """What unquoted text means. Raises: Unreadable."""
    if text in _NULL:
        return Read(None)
    if text in _TRUE or text in _FALSE:
        word = str(text in _TRUE).lower()
        return Read(text in _TRUE, "" if text.lower() == word else f"is read as {word}")
    if _NOT_FINITE.fullmatch(text):
        raise Unreadable("is no number that JSON has")
    if _TIMESTAMP.fullmatch(text):
        raise Unreadable("is a date, and JSON has none")
    if _NUMERIC.match(text):
        return _numeric(text)
    return Read(text)


def tagged(text: str, tag: str) -> Scalar:
    """What text with an explicit tag means. Raises: Unreadable."""
    name = tag.removeprefix(CORE)
    if name == "str":
        return text
    if name not in _TYPES:
        raise Unreadable(f"has the tag {shorten(tag)}, which is not read here", "remove the tag")
    value = plain(text).value
    if not isinstance(value, _TYPES[name]):
        raise Unreadable(f"is not what its tag !!{name} says", "remove the tag")
    return value


def _numeric(text: str) -> Read:
    """Text that begins as a number does."""
    if json := _JSON.fullmatch(text):
        return Read(_exact(text), "is read as a number" if json[1] and not _EXPONENT.fullmatch(text) else "")
    if radix := _RADIX.fullmatch(text):
        literal = _from_radix(*radix.groups())
    elif sexagesimal := _SEXAGESIMAL.fullmatch(text):
        literal = _from_sexagesimal(*sexagesimal.groups(default=""))
    elif decimal := _DECIMAL.fullmatch(text):
        sign, whole, fraction, exponent = decimal.groups(default="")
        literal = _literal(sign, whole, fraction, exponent)
        return Read(_exact(literal), f"is read as {shorten(literal)}" if "_" in text else "")
    else:
        literal = ""
    if not literal:
        return Read(text, "is read as text" if _NEWER.fullmatch(text) else "")
    return Read(_exact(literal), f"is read as {shorten(literal)}")


def _from_radix(sign: str, letter: str, digits: str) -> str:
    """The decimal literal; empty when the digits are not of that base."""
    digits = digits.replace("_", "")
    if len(digits) > _MAX_CHARS:
        raise Unreadable(*OUT_OF_RANGE)
    try:
        return _literal(sign, str(int(digits if letter else f"0{digits}", _BASES[letter])))
    except ValueError:
        return ""


def _from_sexagesimal(sign: str, places: str, fraction: str) -> str:
    if len(places) > _MAX_CHARS:
        raise Unreadable(*OUT_OF_RANGE)
    value = 0
    for place in places.replace("_", "").split(":"):
        value = value * 60 + int(place)
    return _literal(sign, str(value), fraction.removeprefix("."))


def _literal(sign: str, whole: str, fraction: str = "", exponent: str = "") -> str:
    """A JSON number literal of these parts."""
    whole = whole.replace("_", "").lstrip("0") or "0"
    fraction = fraction.replace("_", "")
    return ("-" if sign == "-" else "") + whole + (f".{fraction}" if fraction else "") + exponent


def _exact(literal: str) -> Number:
    value = number(literal)
    if value is None:
        raise Unreadable(*OUT_OF_RANGE)
    return value
