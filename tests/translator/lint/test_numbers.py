from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.lint.numbers import ANY_NUMBER, NO_NUMBER, NumberSet, above, below, complement, meet, points

VALUES = [Decimal(text) for text in ("-1", "0", "0.5", "1", "1.5", "2", "3", "1e400")]


def _has(numbers: NumberSet, value: Decimal) -> bool:
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return any(start <= (value, False) and (value, True) <= end for start, end in pairs)


def _sets() -> st.SearchStrategy[NumberSet]:
    value = st.sampled_from(VALUES)
    simple = st.one_of(
        st.lists(value, max_size=3).map(points),
        st.builds(below, value, closed=st.booleans()),
        st.builds(above, value, closed=st.booleans()),
        st.sampled_from([ANY_NUMBER, NO_NUMBER]),
    )
    return st.recursive(simple, lambda inner: st.builds(meet, inner, inner.map(complement)), max_leaves=4)


@given(_sets(), _sets(), st.sampled_from(VALUES))
def test_set_holds_what_both_hold_and_its_complement_the_rest(one: NumberSet, other: NumberSet, value: Decimal) -> None:
    assert _has(meet(one, other), value) == (_has(one, value) and _has(other, value))
    assert _has(complement(one), value) != _has(one, value)
    assert complement(complement(one)) == one
    assert meet(one, complement(one)) == NO_NUMBER


@pytest.mark.parametrize(
    ("one", "other", "is_empty"),
    [
        (above(Decimal(5), closed=False), below(Decimal(5), closed=True), True),
        (above(Decimal(5), closed=True), below(Decimal(5), closed=True), False),
        (above(Decimal(2**53), closed=False), below(Decimal(2**53 + 1), closed=False), False),
        (points([Decimal("0.1")]), points([Decimal("0.10")]), False),
    ],
)
def test_sets_meet_where_they_touch_and_only_if_both_are_closed(
    one: NumberSet, other: NumberSet, is_empty: bool
) -> None:
    assert (meet(one, other) == NO_NUMBER) == is_empty
