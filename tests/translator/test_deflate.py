import gzip as stock
import hashlib
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from translator.deflate import gzip

PIECES = (
    b"stop contains [6, 0, ",
    b"deny",
    b'"/tools/pay/deny_if"',
    b"\n",
    b"input.tool == ",
    bytes(range(256)),
    b"x" * 300,
)


def sample(pieces: int) -> bytes:
    chance = random.Random(1)
    return b"".join(chance.choice(PIECES) + bytes([chance.randrange(256)]) for _ in range(pieces))


@pytest.mark.parametrize(
    "data", [b"", b"a", b"abcde", b"abcdef", b"a" * 6, b"a" * 264, b"a" * 265, bytes(range(256)) * 3]
)
def test_short_data_comes_back(data: bytes) -> None:
    assert stock.decompress(gzip(data)) == data


@pytest.mark.parametrize("length", [*range(3, 20), 34, 35, 66, 67, 130, 131, 226, 227, 256, 257, 258, 259, 300])
def test_repetition_of_any_length_comes_back(length: int) -> None:
    repeated = random.Random(length).randbytes(length)
    data = b"(" + repeated + b")" + repeated + b"!"
    assert stock.decompress(gzip(data)) == data


@pytest.mark.parametrize(
    "distance", [*range(1, 40), 255, 256, 257, 1024, 4095, 4097, 24576, 32767, 32768, 32769, 40000]
)
def test_repetition_at_any_distance_comes_back(distance: int) -> None:
    between = random.Random(distance).randbytes(distance)
    data = (between + between)[: distance + 12]
    packed = gzip(data)
    assert stock.decompress(packed) == data


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=9), max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_data_comes_back(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    packed = gzip(data)
    assert stock.decompress(packed) == data
    assert zlib.decompressobj(wbits=31).decompress(packed) == data


def test_same_data_has_these_very_bytes() -> None:
    """Whatever Python, zlib and processor: a change of this digest changes every bundle that was ever built."""
    assert (
        hashlib.sha256(gzip(sample(3000))).hexdigest()
        == "1f4d11119b9fce4f05cd8e9ae47c2e25cd4ced25f53377f042c6e2255989d107"
    )


def test_text_that_repeats_itself_gets_small() -> None:
    data = b"".join(b"stop contains [6, %d, deny] if input.tool == tool_%d\n" % (n, n) for n in range(5000))
    assert len(gzip(data)) < len(data) / 6
