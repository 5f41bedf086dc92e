from decimal import Decimal

import pytest

from translator.model import Limit, Window
from translator.program import Number
from translator.tree import Node


@pytest.mark.parametrize(("window", "length_s"), [("minute", 60), ("hour", 3600), ("day", 86400), (60, 60), (7, 7)])
def test_limit_knows_the_length_of_its_window(window: Window, length_s: int) -> None:
    one = Number("1", Decimal(1))
    assert Limit(Node({}, 0), "c", window, one, "grant", one).window_s == length_s
