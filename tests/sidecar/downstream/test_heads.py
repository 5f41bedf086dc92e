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


@pytest.mark.parametrize("headers", [[], [(b"Content-Length", b"9")]])
def test_twin_was_told_in_the_same_bytes_but_for_its_length(headers: list[tuple[bytes, bytes]]) -> None:
    heads = Heads()
    first = told(heads, (b"a", b"1 "), (b"content-length", b"7"), (b"b", b"2"))
    second = told(heads, (b"a", b"1 "), (b"b", b"2"), *headers)
    assert second.twin is first
    assert (second.method, second.path, second.headers) == ("POST", "/x", {b"a": [b"1"], b"b": [b"2"]})
    assert second.length == (headers[0][1] if headers else None)


def test_twin_is_the_head_before_and_none_that_came_earlier() -> None:
    heads = Heads()
    told(heads, (b"a", b"1"))
    told(heads, (b"a", b"2"))
    assert told(heads, (b"a", b"1")).twin is None


def test_twin_has_the_same_target() -> None:
    heads = Heads()
    told(heads, (b"a", b"1"), target=b"/x?y")
    assert told(heads, (b"a", b"1"), target=b"/x?z").twin is None


@pytest.mark.parametrize(
    ("headers", "method"),
    [
        ([(b"b", b"2"), (b"a", b"1")], "POST"),
        ([(b"A", b"1"), (b"b", b"2")], "POST"),
        ([(b"a", b"1"), (b"b", b"2")], "GET"),
        ([(b"a", b"1")], "POST"),
        ([(b"a", b"1"), (b"b", b"3")], "POST"),
        ([(b"a", b"1"), (b"b", b"2"), (b"b", b"2")], "POST"),
        ([(b"a", b"1"), (b"b", b"2"), (b"transfer-encoding", b"chunked")], "POST"),
    ],
)
def test_head_with_another_method_or_header_has_no_twin(headers: list[tuple[bytes, bytes]], method: str) -> None:
    heads = Heads()
    told(heads, (b"a", b"1"), (b"b", b"2"))
    assert told(heads, *headers, method=method).twin is None


@pytest.mark.parametrize("name", [b"a%d", b"a"])
def test_head_with_too_many_headers_is_refused(name: bytes) -> None:
    def headers(count: int) -> list[tuple[bytes, bytes]]:
        return [(name % number if b"%" in name else name, b"") for number in range(count)]

    heads = Heads()
    told(heads, *headers(HEADERS), (b"content-length", b"1"))
    with pytest.raises(RequestRefused, match="128 headers"):
        told(heads, *headers(HEADERS + 1))
