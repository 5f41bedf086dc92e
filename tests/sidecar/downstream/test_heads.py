import pytest

from sidecar.downstream.guard import RequestRefused
from sidecar.downstream.heads import HEADERS, Heads
from sidecar.downstream.request import Head


def told(heads: Heads, *headers: tuple[bytes, bytes], method: str = "POST", target: bytes = b"/x?y") -> Head:
    heads.begin()
    for part in (target[:1], target[1:]):
        heads.on_url(part)
    for name, value in headers:
        heads.on_header(name, value)
    return heads.end(method)


def test_head_has_names_in_lower_case_and_its_length_apart() -> None:
    head = told(Heads(), (b"Host", b"h"), (b"A", b"1"), (b"content-Length", b"7"), (b"a", b"2"))
    assert (head.method, head.path, head.length) == ("POST", "/x", b"7")
    assert head.headers == {b"host": [b"h"], b"a": [b"1", b"2"]}


def test_trailers_are_in_no_head() -> None:
    heads = Heads()
    first = told(heads)
    heads.on_header(b"a", b"1")
    assert not heads.is_open
    assert told(heads).headers == first.headers == {}


def test_length_of_one_head_is_not_that_of_the_next() -> None:
    heads = Heads()
    told(heads, (b"content-length", b"7"))
    assert told(heads).length is None


@pytest.mark.parametrize(
    ("headers", "method", "is_twin"),
    [
        ([(b"a", b"1"), (b"b", b"2")], "POST", True),
        ([(b"B", b"2"), (b"A", b"1"), (b"content-length", b"9")], "POST", True),
        ([(b"a", b"1"), (b"b", b"2")], "GET", False),
        ([(b"a", b"1")], "POST", False),
        ([(b"a", b"1"), (b"b", b"3")], "POST", False),
        ([(b"a", b"1"), (b"b", b"2"), (b"b", b"2")], "POST", False),
        ([(b"a", b"1"), (b"b", b"2"), (b"transfer-encoding", b"chunked")], "POST", False),
    ],
)
def test_twin_has_the_same_method_and_headers(headers: list[tuple[bytes, bytes]], method: str, is_twin: bool) -> None:
    heads = Heads()
    first = told(heads, (b"a", b"1"), (b"b", b"2"), target=b"/other")
    assert told(heads, *headers, method=method).twin is (first if is_twin else None)


def test_head_with_too_many_names_is_refused() -> None:
    heads = Heads()
    told(heads, *((b"a%d" % number, b"") for number in range(HEADERS)), (b"a1", b""))
    with pytest.raises(RequestRefused, match="128 headers"):
        told(heads, *((b"a%d" % number, b"") for number in range(HEADERS + 1)))
