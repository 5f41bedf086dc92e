"""What samples say of rules is put to OPA in test_generated; here, what they are made of."""

from decimal import Decimal

from translator.arguments import Path
from translator.boundary import Value, text
from translator.program import Condition, Guard, Json, Limit, Number, Op, Section, Step
from translator.samples import of_guard, of_limit, quiet


def num(written: str) -> Number:
    return Number(written, Decimal(written))


def guard(*conditions: tuple[str, Op, Json], step: Step = Step.TOOL_DENY) -> Guard:
    return Guard(step, "/r", "m", tuple(Condition(tuple(path.split(".")), op, value) for path, op, value in conditions))


def spend(path: Path | None, as_number: bool = False) -> Limit:
    return Limit(Step.TOOL_LIMIT, "/l", "m", "c", "day", num("10"), "grant", num("2"), path, as_number)


def sampled(rule: Guard, calm: dict[Path, Value] | None = None) -> dict[str, bool]:
    return {text(sample.arguments): sample.fires for sample in of_guard(rule, calm or {})}


def test_denial_fires_just_outside_and_on_wrong_types_but_not_when_absent() -> None:
    found = sampled(guard(("a", Op.GT, num("10"))))
    assert found['{"a": 10}'] is False
    assert found['{"a": 11}'] is True
    assert found['{"a": "other"}'] is True
    assert found["{}"] is False
    assert found['{"a": null}'] is False


def test_requirement_fires_on_all_that_does_not_satisfy_it() -> None:
    found = sampled(guard(("a", Op.LTE, num("10")), step=Step.TOOL_REQUIRE))
    assert [call for call, fires in found.items() if not fires] == ['{"a": 9}', '{"a": 10}']


def test_other_conditions_hold_so_that_one_decides() -> None:
    found = sampled(guard(("a", Op.EQ, "x"), ("b", Op.GT, num("1"))))
    assert found['{"a": "x", "b": 2}'] is True
    assert found['{"b": 2}'] is False
    assert found['{"b": 1, "a": "x"}'] is False


def test_conditions_on_one_path_are_judged_together() -> None:
    found = sampled(guard(("a", Op.GT, num("1")), ("a", Op.LT, num("3"))))
    assert [call for call, fires in found.items() if fires][:2] == ['{"a": 2}', '{"a": ""}']
    assert found['{"a": 3}'] is False


def test_arrays_are_met_empty_and_mixed() -> None:
    found = sampled(guard(("a.*", Op.GT, num("1"))))
    assert found['{"a": []}'] is False
    assert found['{"a": [null, 2]}'] is True
    assert sampled(guard(("a.*", Op.EXISTS, True), step=Step.TOOL_REQUIRE))['{"a": []}'] is True


def test_rules_that_cannot_be_tried_alone_have_no_samples() -> None:
    assert of_guard(guard(("a.*", Op.EXISTS, True), ("a.0", Op.EXISTS, True)), {}) == []
    unmatched = guard(("a", Op.REGEX, r"\p{Greek}"), ("b", Op.EXISTS, True))
    assert not any(fires for call, fires in sampled(unmatched).items() if '"b"' in call and '"a"' not in call)
    assert of_guard(guard(("a.1000000", Op.EXISTS, True)), {}) == []


def test_rule_without_conditions_fires_on_a_quiet_call() -> None:
    assert sampled(guard(), {("k",): "v"}) == {'{"k": "v"}': True}


def test_many_values_are_cut_and_the_types_are_kept() -> None:
    found = sampled(guard(("a", Op.IN, [num(str(10 * n)) for n in range(100)])))
    assert len(found) == 60
    assert {'{"a": 0}', '{"a": true}', '{"a": []}', "{}"} <= set(found)


def test_quiet_call_satisfies_what_it_can() -> None:
    section = Section(
        (
            guard(("a", Op.GT, num("5")), step=Step.TOOL_REQUIRE),
            guard(("a", Op.GT, num("5.5"))),
            guard(("b", Op.EXISTS, False)),
            guard(("never", Op.REGEX, r"\p{Greek}"), step=Step.TOOL_REQUIRE),
            guard(("b.c", Op.EXISTS, True), step=Step.TOOL_REQUIRE),
            guard(("far.1000000", Op.EXISTS, True), step=Step.TOOL_REQUIRE),
        ),
        (spend(("s",)), spend(None)),
    )
    found = {".".join(path): text(value) for path, value in quiet([section]).items()}
    assert found == {"a": "5.4", "b": "7", "s": "0"}


def counted(limit: Limit) -> dict[str, list[str] | None]:
    return {
        text(count.arguments): None if count.amounts is None else [amount.text for amount in count.amounts]
        for count in of_limit(limit, {("k",): "v"})
    }


def test_limit_counts_its_increment_or_what_it_finds() -> None:
    assert counted(spend(None)) == {'{"k": "v"}': ["2"]}
    found = counted(spend(("a",)))
    assert found['{"a": 11, "k": "v"}'] == ["11"]
    assert found['{"a": -1, "k": "v"}'] is None
    assert found['{"a": "other", "k": "v"}'] is None
    assert found['{"k": "v"}'] is None
    assert counted(spend(("a",), True))['{"a": "10", "k": "v"}'] == ["10"]


def test_limit_over_an_array_counts_each_element() -> None:
    found = counted(spend(("a", "*")))
    assert found['{"a": [0, 11], "k": "v"}'] == ["0", "11"]
    assert found['{"a": [0, null], "k": "v"}'] is None
    assert found['{"a": [], "k": "v"}'] is None
    assert of_limit(spend(("a", "1000000")), {}) == []
