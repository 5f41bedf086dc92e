"""Source: mcp-gateway.md G32."""

from sidecar.core import inflight
from sidecar.core.inflight import InFlight


def test_request_alone_is_believed() -> None:
    flying = InFlight()
    first = flying.begin("g", "s", 1)
    flying.end(first, answered=True)
    again = flying.begin("g", "s", 1)
    assert (first.doubtful, again.doubtful) == (False, False)


def test_request_with_an_id_still_under_way_makes_both_doubtful() -> None:
    flying = InFlight()
    first, second = flying.begin("g", "s", 1), flying.begin("g", "s", 1)
    assert first.doubtful
    assert second.doubtful
    flying.end(second, answered=True)
    assert flying.begin("g", "s", 1).doubtful  # the first may still be answered


def test_request_with_an_id_never_answered_is_doubtful() -> None:
    flying = InFlight()
    flying.end(flying.begin("g", "s", "a"), answered=False)
    assert flying.begin("g", "s", "a").doubtful


def test_request_of_another_session_grant_or_type_is_believed() -> None:
    flying = InFlight()
    flying.end(flying.begin("g", "s", 1), answered=False)
    others = [flying.begin("g", "t", 1), flying.begin("h", "s", 1), flying.begin("g", "s", "1")]
    assert [flight.doubtful for flight in others] == [False, False, False]


def test_requests_whose_ids_are_one_double_make_each_other_doubtful() -> None:
    flying = InFlight()
    first, second = flying.begin("g", "s", 2**53), flying.begin("g", "s", 2**53 + 1)
    apart = flying.begin("g", "s", 2**53 - 1)
    assert [flight.doubtful for flight in (first, second, apart)] == [True, True, False]
    assert flying.begin("g", "s", 10**100 - 1).doubtful is False


def test_requests_outside_sessions_share_ids_undoubted() -> None:
    flying = InFlight()
    flights = [flying.begin("g", None, 1), flying.begin("g", None, 1)]
    flying.end(flights[0], answered=False)
    assert [flight.doubtful for flight in (*flights, flying.begin("g", None, 1))] == [False, False, False]


def test_meddling_makes_all_requests_of_the_grant_doubtful_while_it_lasts() -> None:
    flying = InFlight()
    before, other = flying.begin("g", "s", 1), flying.begin("h", "s", 1)
    with flying.meddling("g"), flying.meddling("g"):
        during = flying.begin("g", None, 2)
    after = flying.begin("g", None, 3)
    assert [flight.doubtful for flight in (before, other, during, after)] == [True, False, True, False]


def test_oldest_unanswered_ids_are_forgotten(monkeypatch) -> None:
    monkeypatch.setattr(inflight, "_KEPT", 2)
    flying = InFlight()
    for number in range(3):
        flying.end(flying.begin("g", "s", number), answered=False)
    assert [flying.begin("g", "s", number).doubtful for number in range(3)] == [False, True, True]


def test_length_is_how_many_wait() -> None:
    flying = InFlight()
    first = flying.begin("g", "s", 1)
    flying.begin("g", None, 1)
    flying.begin("h", "s", 2)
    assert len(flying) == 3
    flying.end(first, answered=False)
    assert len(flying) == 2
