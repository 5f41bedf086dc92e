"""Bytes → gzip, the same on every machine. Knows nothing of what is packed.

zlib will not do: what it makes of the same bytes differs between its versions, Apple's and zlib-ng, and a bundle built
on a laptop must be the one that was built and signed elsewhere. One pass, each match with the latest place that began
alike; one block with deflate's fixed codes. Generated Rego becomes about a twentieth. Source: RFC 1951, 1952.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache

_HEADER = b"\x1f\x8b\x08" + bytes(5) + b"\x02\xff"
"""Deflated; no name, no time, no system."""
_KEY = 6
_STRIDE = 8
"""Of a match every so many places are remembered: more cost time and, in text like ours, make nothing smaller."""
_LONGEST = 258
_FARTHEST = 32768
_FIRST_BLOCK, _END = "110", "0000000"
"""The last block, with fixed codes; the code that ends it."""


def gzip(data: bytes) -> bytes:
    """The data as a gzip file."""
    return _HEADER + _deflated(data) + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def _deflated(data: bytes) -> bytes:
    parts = [_FIRST_BLOCK]
    for literals, length, distance in _matches(data):
        parts += map(_LITERAL.__getitem__, literals)
        if length:
            parts.append(_length(length))
            parts.append(_distance(distance))
    parts.append(_END)
    bits = "".join(parts)
    return int(bits[::-1], 2).to_bytes((len(bits) + 7) // 8, "little")


def _matches(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """What stands there, then how much of what stood how far before is repeated; at the end nothing is."""
    latest: dict[bytes, int] = {}
    at = unsaid = 0
    while at + _KEY <= len(data):
        key = data[at : at + _KEY]
        before = latest.get(key, -_FARTHEST - 1)
        latest[key] = at
        if at - before > _FARTHEST:
            at += 1
            continue
        length = _common(data[at : at + _LONGEST], data[before : before + _LONGEST])
        yield data[unsaid:at], length, at - before
        for place in range(at + 1, min(at + length, len(data) - _KEY), _STRIDE):
            latest[data[place : place + _KEY]] = place
        at += length
        unsaid = at
    yield data[unsaid:], 0, 0


def _common(one: bytes, other: bytes) -> int:
    """How many bytes both begin with; `one` is no longer than `other`."""
    difference = int.from_bytes(one, "little") ^ int.from_bytes(other[: len(one)], "little")
    return len(one) if not difference else ((difference & -difference).bit_length() - 1) // 8


def _code(symbol: int) -> str:
    """The fixed code of a literal, the end, or a length. Source: RFC 1951, section 3.2.6."""
    if symbol < 144:
        return f"{0b00110000 + symbol:08b}"
    if symbol < 256:
        return f"{0b110010000 + symbol - 144:09b}"
    return f"{symbol - 256:07b}" if symbol < 280 else f"{0b11000000 + symbol - 280:08b}"


@cache
def _length(length: int) -> str:
    if length == _LONGEST:
        return _code(285)
    return _ranged(length - 3, 4, lambda number: _code(257 + number))


@cache
def _distance(distance: int) -> str:
    return _ranged(distance - 1, 2, lambda number: f"{number:05b}")


def _ranged(value: int, steps: int, code: Callable[[int], str]) -> str:
    """A value as the number of its range and its place in it: `steps` ranges for each power of two.

    Source: RFC 1951, section 3.2.5.
    """
    extra = max(0, value.bit_length() - steps.bit_length())
    number = (value >> extra) + steps * extra
    return code(number) + (f"{value & ((1 << extra) - 1):0{extra}b}"[::-1] if extra else "")


_LITERAL = [_code(byte) for byte in range(256)]
