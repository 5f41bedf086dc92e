import pytest

from scripts import without_guards
from scripts.guards import GUARDS, Guard

DEMANDED = {*(f"G{number}" for number in range(1, 17)), "G18", "G21", "G26", "G54"}


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: f"{guard.id} {guard.what}")
def test_guard_can_be_taken_out_at_its_one_place(guard: Guard) -> None:
    text = (without_guards.ROOT / guard.file).read_text(encoding="utf-8")
    left = without_guards.without(guard, text)
    assert left != text
    compile(left, guard.file, "exec")


def test_every_demanded_guard_is_there() -> None:
    assert {guard.id for guard in GUARDS} == DEMANDED


def test_guard_taken_out_is_missed(opa_path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert without_guards.main(["G3"]) == 0
    assert "bypass/test_messages.py::test_ambiguous_message_is_refused" in capsys.readouterr().out


def test_guard_that_is_there_twice_or_not_at_all_is_told() -> None:
    for text in ("", GUARDS[0].there * 2):
        with pytest.raises(ValueError, match=GUARDS[0].id):
            without_guards.without(GUARDS[0], text)
