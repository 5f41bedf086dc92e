import pytest

from sidecar.downstream.guard import RequestRefused
from sidecar.downstream.request import Answering, Head, Request, Whole, Writer, begin, path, whole
from sidecar.errors import SidecarError


def request(method: str = "GET", *, is_1_1: bool = True) -> Request:
    return Request(Head(method, "/", {}), is_1_1, is_1_1)


class _Door:
    """Admits what has a twin, and refuses all else."""

    body_limit_bytes = 10

    def admit(self, head: Head) -> Answering:
        if head.twin is None:
            raise RequestRefused(401, "no")

        async def answer(_body: bytes, _writer: Writer) -> None:
            return

        return answer

    def refuse(self, _head: Head | None, _error: SidecarError) -> Whole:
        return 401, [], b"no"


@pytest.mark.parametrize("twin", [None, Head("GET", "/", {})], ids=["refused", "admitted"])
def test_head_lets_its_twin_go_once_it_was_admitted_or_not(twin: Head | None) -> None:
    one = request()
    one.head.twin = twin
    one.admit(_Door())
    assert (one.answering is None) is (twin is None)
    assert one.head.twin is None


def test_head_and_request_show_neither_the_token_nor_the_body() -> None:
    one = Request(Head("GET", "/x", {b"authorization": [b"Bearer secret"]}), True, True, body=b"secret")
    for shown in (repr(one), repr(one.head)):
        assert "GET /x" in shown
        assert "secret" not in shown


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (b"/mcp/s", "/mcp/s"),
        (b"/mcp/s?token=x", "/mcp/s"),
        (b"/mcp/%73", "/mcp/%73"),
        (b"/mcp/s#x", "/mcp/s#x"),
        (b"/\xff", "/\xff"),
        (b"http://host:1/mcp/s?x", "/mcp/s"),
        (b"http://host", ""),
        (b"*", "*"),
        (b"host:443", ""),
        (b"", ""),
    ],
)
def test_path_is_what_was_sent_without_the_query(target: bytes, wanted: str) -> None:
    assert path(target) == wanted


def test_whole_says_its_length_and_whether_the_connection_stays() -> None:
    assert whole(418, [(b"a", b"b")], b"hello", request()) == (
        b"HTTP/1.1 418 I'm a Teapot\r\na: b\r\ncontent-length: 5\r\n\r\nhello",
    )
    assert whole(799, [], b"", request(is_1_1=False)) == (
        b"HTTP/1.1 799 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    )


def test_whole_of_a_long_body_is_not_copied() -> None:
    body = b"x" * 100_000
    head, rest = whole(200, [], body, request())
    assert head == b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"
    assert rest is body


def test_whole_has_no_body_where_there_must_be_none() -> None:
    assert whole(200, [], b"hello", request("HEAD"))[0].endswith(b"content-length: 5\r\n\r\n")
    assert whole(204, [], b"hello", request()) == (b"HTTP/1.1 204 No Content\r\n\r\n",)


def test_begin_is_chunked_for_those_who_know() -> None:
    assert begin(200, [], request()) == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    assert begin(200, [], request(is_1_1=False)) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\rb"])
def test_head_with_a_value_that_ends_its_line_is_not_made(value: bytes) -> None:
    with pytest.raises(ValueError, match="line break"):
        whole(200, [(b"a", value)], b"", request())
