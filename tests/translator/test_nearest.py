import pytest

from translator import nearest as module
from translator.nearest import Nearest

NAMES = ("wsCreateOrder", "wsCancelOrder", "get_balance", "getBalanceHistory", "x")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("wsCancelOrders", "wsCancelOrder"),
        ("wscreateorder", "wsCreateOrder"),
        ("get-balance", "get_balance"),
        ("getBalance", "get_balance"),
        ("wsCancleOrder", "wsCancelOrder"),
        ("X", "x"),
        ("transfer", None),
        ("", None),
        ("a" * 100_000, None),
    ],
)
def test_nearest_name_is_the_one_most_alike_or_none(written: str, meant: str | None) -> None:
    assert Nearest(NAMES).to(written) == meant


def test_nearest_of_names_that_are_alike_to_the_fold_is_the_first_listed() -> None:
    assert Nearest(["a_b", "A-B"]).to("ab") == "a_b"


def test_nearest_stops_answering_when_its_bound_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STEPS", 40)
    index = Nearest(f"order{number}" for number in range(20))
    assert index.to("ORDER3") == "order3"
    assert index.to("oorder3") is None
    assert index.to("order 7") == "order7"
