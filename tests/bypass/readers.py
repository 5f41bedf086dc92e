"""Independent readers of a message, none of them the gateway's: what a server behind it would take a body for.

Every number is `{"#": its source text}`; what a reader cannot read is None.
"""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tests import npm

NODE = 21
"""The oldest major version of Node whose JSON.parse tells the source text of numbers; an older one rounds them."""
_SCRIPT = Path(__file__).with_name("readers.mjs")
_kind = msgspec.json.Decoder(msgspec.Raw).decode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_any = msgspec.json.Decoder().decode


def _number(text: str) -> dict[str, str]:
    return {"#": text}


_NUMBERS: dict[str, Callable[[str], Any]] = {"parse_int": _number, "parse_float": _number, "parse_constant": _number}


def by_python(body: bytes) -> Any:
    """As `json.loads` of bytes does it: other encodings, NaN and the last of two members included."""
    try:
        return json.loads(body, **_NUMBERS)
    except (ValueError, RecursionError):
        return None


def by_msgspec(body: bytes) -> Any:
    try:
        return _unwrapped(bytes(_kind(body)))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _unwrapped(raw: bytes) -> Any:
    raw = raw.strip()
    if raw[:1] == b"{":
        return {name: _unwrapped(bytes(value)) for name, value in _object(raw).items()}
    if raw[:1] == b"[":
        return [_unwrapped(bytes(value)) for value in _array(raw)]
    if raw[:1] in b"-0123456789":
        return _number(raw.decode())
    return _any(raw)


def by_lax(body: bytes) -> Any:
    """As decoders do that match member names without case and end them at a NUL, the first of two members first."""
    try:
        return json.loads(body.decode(errors="replace").lstrip("\ufeff"), object_pairs_hook=_folded, **_NUMBERS)
    except (ValueError, RecursionError):
        return None


def _folded(pairs: list[tuple[str, Any]]) -> Any:
    members: dict[str, Any] = {}
    for name, value in pairs:
        members.setdefault(name.replace("\0", "").casefold(), value)
    return members


@dataclass(frozen=True, slots=True)
class Node:
    """A Node on this machine, and whether it rounds numbers."""

    path: str
    rounds: bool

    def read(self, bodies: Sequence[bytes]) -> list[Any]:
        sent = b"".join(base64.b64encode(body) + b"\n" for body in bodies)
        told = subprocess.run([self.path, str(_SCRIPT)], input=sent, capture_output=True, check=True, timeout=600)
        return [None if line == b"null" else json.loads(line)["read"] for line in told.stdout.splitlines()]

    def would_say(self, value: Any) -> Any:
        """A value as this Node tells it."""
        return _rounded(value) if self.rounds else value


def node() -> Node | None:
    """The Node that the packages of tests run on; where that cannot be had, the machine's own, if it has one."""
    try:
        found: str | None = str(npm.node())
    except npm.Unavailable:
        found = shutil.which("node")
    if found is None:
        return None
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    return Node(found, rounds=int(version.strip().lstrip("v").partition(".")[0]) < NODE)


def _rounded(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    if isinstance(value, dict):
        if list(value) == ["#"] and isinstance(value["#"], str):
            return float(value["#"])
        return {name: _rounded(one) for name, one in value.items()}
    return value
