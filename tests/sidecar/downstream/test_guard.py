"""Source: mcp-gateway.md G7–G9, G49, G54."""

import pytest

from sidecar.downstream.guard import Guard, RequestRefused, too_large
from sidecar.errors import SidecarError, StoreError, UnknownGrant, WrongServer
from sidecar.ports import Grant
from tests.fakes import FakeBearers, FakeGrants

GRANT = Grant("g", "s", "p")
POST = {
    b"content-type": [b"application/json"],
    b"accept": [b"application/json, text/event-stream"],
}


def guard(
    *, hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "::1"), origins: tuple[str, ...] = (), auth: bool = True
) -> Guard:
    grants = FakeGrants(by_token={b"good": GRANT})
    return Guard(hosts, origins, grants if auth else None, {"s": GRANT}, 100)


def headers(**changes: list[bytes] | None) -> dict[bytes, list[bytes]]:
    """A good POST's headers with some changed, or (None) left out."""
    named = {name.replace("_", "-").encode(): values for name, values in changes.items()}
    return {name: values for name, values in {**POST, **named}.items() if values is not None}


@pytest.mark.parametrize(
    "host", [b"localhost", b"localhost:8700", b"LOCALHOST:1", b"127.0.0.1:8700", b"[::1]:8700", b"[::1]"]
)
def test_place_own_host_passes(host: bytes) -> None:
    guard().place({b"host": [host]})


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [b""],
        [b"evil.example"],
        [b"evil.example:8700"],
        [b"localhost.evil.example"],
        [b"evil.example#localhost"],
        [b"localhost", b"localhost"],
        [b"localhost", b"evil.example"],
        [b"localhost, evil.example"],
        [b"*"],
        [b"\xff"],
    ],
)
def test_place_foreign_odd_or_doubled_host_is_refused(hosts: list[bytes]) -> None:
    with pytest.raises(RequestRefused) as refused:
        guard().place({b"host": hosts} if hosts else {})
    assert refused.value.http_status == 421


def test_place_any_host_passes_where_all_are_allowed_but_never_two() -> None:
    guard(hosts=("*",)).place({b"host": [b"any.example"]})
    with pytest.raises(RequestRefused):
        guard(hosts=("*",)).place({b"host": [b"a", b"b"]})


@pytest.mark.parametrize(
    "origins",
    [
        [b"https://evil.example"],
        [b"null"],
        [b""],
        [b"https://ok.example.evil"],
        [b"http://ok.example"],
        [b"https://ok.example", b"https://evil.example"],
        [b"https://evil.example", b"https://ok.example"],
        [b"https://ok.example, https://evil.example"],
        [b"HTTPS://OK.EXAMPLE"],
    ],
)
def test_place_origin_that_is_not_allowed_is_refused(origins: list[bytes]) -> None:
    with pytest.raises(RequestRefused) as refused:
        guard(origins=("https://ok.example",)).place({b"host": [b"localhost"], b"origin": origins})
    assert refused.value.http_status == 403


def test_place_allowed_origin_passes() -> None:
    guard(origins=("https://ok.example",)).place({b"host": [b"localhost"], b"origin": [b"https://ok.example"]})


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (b"localhost", b"http://localhost"),
        (b"127.0.0.1:8700", b"http://127.0.0.1:8700"),
        (b"[::1]:8700", b"https://[::1]:8700"),
    ],
)
def test_place_page_from_the_very_place_it_calls_passes(host: bytes, origin: bytes) -> None:
    guard().place({b"host": [host], b"origin": [origin]})


@pytest.mark.parametrize(
    "origin",
    [
        b"http://localhost:8701",
        b"http://localhost",
        b"http://127.0.0.1:8700",
        b"localhost:8700",
        b"http://localhost:8700/",
        b"http://a@localhost:8700",
        b"ws://localhost:8700",
        b"null",
    ],
)
def test_place_page_from_another_place_of_the_same_machine_is_refused(origin: bytes) -> None:
    with pytest.raises(RequestRefused):
        guard().place({b"host": [b"localhost:8700"], b"origin": [origin]})


def test_place_where_any_host_is_served_no_page_is_its_own() -> None:
    """DNS rebinding: there, the page of a foreign name calls that very name."""
    with pytest.raises(RequestRefused):
        guard(hosts=("*",)).place({b"host": [b"evil.example"], b"origin": [b"http://evil.example"]})


@pytest.mark.parametrize("value", [b"Bearer good", b"bearer good", b"BEARER  good "])
def test_grant_good_token_gives_its_grant(value: bytes) -> None:
    assert guard().grant({b"authorization": [value]}, "s") == GRANT


@pytest.mark.parametrize(
    "values",
    [
        [],
        [b""],
        [b"Bearer"],
        [b"Bearer "],
        [b"good"],
        [b"Basic good"],
        [b"Bearer bad"],
        [b"Bearer good good"],
        [b"Bearer good, Bearer good"],
        [b"Bearer good", b"Bearer good"],
        [b"Bearer good", b"Bearer bad"],
        [b"Bearer bad", b"Bearer good"],
        [b"Bearer\tgood"],
        [b"Bearer \xff"],
    ],
)
def test_grant_missing_odd_or_doubled_authorization_is_refused(values: list[bytes]) -> None:
    with pytest.raises(UnknownGrant) as refused:
        guard().grant({b"authorization": values} if values else {}, "s")
    assert refused.value.http_status == 401
    assert "bad" not in str(refused.value)


def test_grant_for_another_server_is_refused_without_naming_it() -> None:
    with pytest.raises(WrongServer) as refused:
        guard().grant({b"authorization": [b"Bearer good"]}, "other")
    assert refused.value.http_status == 403
    assert '"s"' not in str(refused.value)


def test_grant_store_that_fails_says_so() -> None:
    failing = Guard((), (), FakeGrants(error=StoreError("locked")), {}, 1)
    with pytest.raises(StoreError):
        failing.grant({b"authorization": [b"Bearer good"]}, "s")


async def test_grant_of_a_token_that_no_grant_has_is_asked_of_the_bearers() -> None:
    bearers = FakeBearers({b"theirs": Grant("t", "s", "q"), b"good": Grant("never", "s", "q")})
    both = Guard((), (), FakeGrants(by_token={b"good": GRANT}), {}, 1, bearers)
    assert both.grant({b"authorization": [b"Bearer theirs"]}, "s").id == "t"
    assert both.grant({b"authorization": [b"Bearer good"]}, "s") == GRANT
    with pytest.raises(UnknownGrant):
        both.grant({b"authorization": [b"Bearer bad"]}, "s")
    with pytest.raises(WrongServer):
        both.grant({b"authorization": [b"Bearer theirs"]}, "other")
    await both.settle()
    await guard().settle()
    assert bearers.settled == 1


def test_grant_without_authentication_is_anybodys() -> None:
    assert guard(auth=False).grant({}, "s") == GRANT


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_form_plain_request_passes(method: str) -> None:
    guard().form(method, POST)


def test_form_delete_needs_no_types() -> None:
    guard().form("DELETE", {})


@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "post", ""])
def test_form_other_method_is_refused(method: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        guard().form(method, POST)
    assert refused.value.http_status == 405


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"upgrade": [b"h2c"]}, 400),
        ({"upgrade": [b""]}, 400),
        ({"expect": [b"100-continue"]}, 417),
        ({"content_type": None}, 415),
        ({"content_type": [b"text/plain"]}, 415),
        ({"content_type": [b"application/json", b"application/json"]}, 415),
        ({"content_type": [b"application/json, text/plain"]}, 415),
        ({"content_type": [b"application/jsonp"]}, 415),
        ({"content_type": [b"application/json; charset=utf-7"]}, 415),
        ({"content_type": [b"application/json; charset=utf-16le"]}, 415),
        ({"content_type": [b"application/json; charset=ibm037"]}, 415),
        ({"content_type": [b"application/json; charset=utf-8; charset=utf-7"]}, 415),
        ({"content_type": [b"application/json; charset=utf-7; charset=utf-8"]}, 415),
        ({"content_type": [b'application/json; charset="utf-8']}, 415),
        ({"content_type": [b"application/json; x=y"]}, 415),
        ({"content_encoding": [b"gzip"]}, 415),
        ({"content_encoding": [b"identity", b"gzip"]}, 415),
        ({"content_encoding": [b""]}, 415),
        ({"accept": None}, 406),
        ({"accept": [b"application/json"]}, 406),
        ({"accept": [b"text/event-stream"]}, 406),
        ({"accept": [b"text/*"]}, 406),
        ({"accept": [b"application/jsonx, text/event-stream"]}, 406),
    ],
)
def test_form_odd_post_is_refused(changes: dict[str, list[bytes] | None], status: int) -> None:
    with pytest.raises(RequestRefused) as refused:
        guard().form("POST", headers(**changes))
    assert refused.value.http_status == status


@pytest.mark.parametrize(
    "changes",
    [
        {"content_type": [b"application/json; charset=utf-8"]},
        {"content_type": [b"Application/JSON;charset=UTF-8"]},
        {"content_type": [b'application/json;charset="utf-8"']},
        {"content_encoding": [b"identity"]},
        {"accept": [b"*/*"]},
        {"accept": [b"application/*, text/*;q=0.5"]},
        {"accept": [b"text/event-stream", b"application/json"]},
        {"accept": [b"Text/Event-Stream;q=1,Application/JSON"]},
    ],
)
def test_form_usual_post_passes(changes: dict[str, list[bytes] | None]) -> None:
    guard().form("POST", headers(**changes))


@pytest.mark.parametrize("accept", [[], [b"application/json"], [b"text/event-streams"]])
def test_form_get_that_takes_no_stream_is_refused(accept: list[bytes]) -> None:
    with pytest.raises(RequestRefused) as refused:
        guard().form("GET", {b"accept": accept} if accept else {})
    assert refused.value.http_status == 406


def test_refusal_is_told_in_a_line_with_a_stable_code() -> None:
    refusal: SidecarError = too_large(7)
    assert (str(refusal), refusal.code) == ("The body is larger than 7 bytes.", "request_refused")


@pytest.mark.parametrize("length", [b"101", b"9" * 5000, b"-1", b"1e9", "²".encode()])
def test_length_over_the_limit_or_odd_is_refused(length: bytes) -> None:
    with pytest.raises(RequestRefused) as refused:
        guard().length(length)
    assert refused.value.http_status == 413


@pytest.mark.parametrize("length", [None, b"0", b"100"])
def test_length_within_the_limit_passes(length: bytes | None) -> None:
    guard().length(length)
