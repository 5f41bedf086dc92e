import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.lines import LineSplitter, Overlong, one_line


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b"a\n"], [b"a"]),
        ([b"a", b"b\nc", b"\n"], [b"ab", b"c"]),
        ([b"a\nb\nc"], [b"a", b"b", b"c"]),
        ([b"\n \n\r\na\r\n"], [b"a\r"]),
        ([b""], []),
    ],
)
def test_splitter_chunks_become_lines(chunks: list[bytes], lines: list[bytes]) -> None:
    splitter = LineSplitter(100)
    assert [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.end() == lines


@given(st.lists(st.binary(max_size=20)), st.integers(1, 7))
def test_splitter_cuts_the_same_wherever_chunks_end(lines: list[bytes], size: int) -> None:
    data = b"\n".join(lines)
    splitter = LineSplitter(1000)
    found = [line for at in range(0, len(data), size) for line in splitter.feed(data[at : at + size])]
    assert found + splitter.end() == [line for line in data.split(b"\n") if line.strip()]


@pytest.mark.parametrize("size", [1, 3, 1000, 10_000])
def test_splitter_line_past_the_limit_keeps_its_two_ends(size: int) -> None:
    data = b"HEAD" + b"x" * 5000 + b"TAIL\nnext\n"
    splitter = LineSplitter(1000)
    overlong, following = (line for at in range(0, len(data), size) for line in splitter.feed(data[at : at + size]))
    assert isinstance(overlong, Overlong)
    assert overlong.head.startswith(b"HEAD")
    assert overlong.tail.endswith(b"TAIL")
    assert len(overlong.head + overlong.tail) <= 1024
    assert following == b"next"


def test_splitter_line_of_just_the_limit_passes() -> None:
    assert LineSplitter(4).feed(b"1234\n12345\n") == [b"1234", Overlong(b"12345", b"12345")]


@pytest.mark.parametrize(
    ("text", "line"),
    [(b"{}", b"{}\n"), (b'{\r\n"a":\n1}', b'{  "a": 1}\n'), (b'"\\n"', b'"\\n"\n')],
)
def test_one_line_breaks_become_spaces(text: bytes, line: bytes) -> None:
    assert one_line(text) == line
