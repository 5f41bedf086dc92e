from decimal import Decimal
from typing import Any, Literal

from sidecar.core.decision import Limit
from sidecar.proving.rush import Direction, Found, Move, rush

Scope = Literal["grant", "session", "server"]
BOTH: tuple[Direction, ...] = ("looser", "stricter")


def limit(most: str, window: Any = "minute", counter: str = "c", amount: str = "1", scope: Scope = "grant") -> Limit:
    return Limit("r", "m", counter, window, Decimal(most), scope, [Decimal(amount)])


def move(old: list[Limit], new: list[Limit], tool: str = "t") -> Move:
    return Move(tool, "{}", tuple(old), tuple(new))


def found(*moves: Move, tool: str = "t") -> dict[Direction, Found]:
    return {direction: each for (_, direction), each in rush(moves, {(tool, each) for each in BOTH}).items()}


def test_the_call_after_the_last_that_fits_shows_a_higher_maximum() -> None:
    shown = found(move([limit("10")], [limit("11")]))
    assert list(shown) == ["looser"]
    assert [(each.times, each.at_s) for each in shown["looser"].before] == [(10, 0)]


def test_time_passes_where_a_shorter_window_is_full() -> None:
    per_minute = limit("10", counter="m")
    shown = found(move([per_minute, limit("25", "day")], [per_minute, limit("20", "day")]))
    assert list(shown) == ["stricter"]
    assert [(each.times, each.at_s) for each in shown["stricter"].before] == [(10, 0), (10, 60)]
    assert shown["stricter"].last.at_s == 120


def test_both_directions_are_found_one_after_the_other() -> None:
    old, new = [limit("10"), limit("100", "day", "d")], [limit("20"), limit("50", "day", "d")]
    assert set(found(move(old, new))) == set(BOTH)


def test_amounts_are_mixed_to_fill_a_counter() -> None:
    moves = [move([limit("10", amount=each)], [limit("10.5", amount=each)]) for each in ("4", "2", "0.5", "0")]
    shown = found(*moves)["looser"]
    assert sum(each.times * each.move.old[0].amounts[0] for each in shown.before) == 10


def test_another_tool_may_use_up_a_shared_counter() -> None:
    t, u = move([limit("2")], [limit("2")]), move([], [limit("2")], "u")
    shown = found(t, u)
    assert list(shown) == ["stricter"]
    assert shown["stricter"].before[0].move.tool == "u"


def test_another_session_or_grant_shows_who_shares_a_counter() -> None:
    shown = found(move([limit("1", scope="session")], [limit("1")]))["stricter"]
    assert shown.last.move.session != shown.before[0].move.session
    shown = found(move([limit("1", scope="grant")], [limit("1", scope="server")]))["stricter"]
    assert shown.last.move.grant != shown.before[0].move.grant


def test_one_call_alone_may_show_it() -> None:
    assert found(move([limit("5", amount="6")], [limit("6", amount="6")]))["looser"].before == ()


def test_nothing_is_found_where_nothing_differs() -> None:
    assert found(move([limit("10")], [limit("10")])) == {}
    assert found(move([], [])) == {}
    assert found(move([limit("0")], [limit("0")])) == {}
    assert rush([], {("t", "looser")}) == {}


def test_a_counter_met_twice_is_added_to_once() -> None:
    twice = [limit("3"), limit("4")]
    assert found(move(twice, [limit("3")])) == {}
