from translator.errors import PolicyRejected, Problem, TranslatorError


def test_problem_with_everything_prints_place_pointer_message_and_hint() -> None:
    problem = Problem("pay", "/tools/t", 3, 7, "must be an object, not null", "write {}")
    assert str(problem) == "pay:3:7 /tools/t: must be an object, not null (write {})"


def test_problem_of_the_root_without_policy_and_hint_prints_no_gaps() -> None:
    assert str(Problem("", "", 1, 1, "the document is empty")) == "1:1: the document is empty"


def test_problem_with_control_characters_prints_them_as_escapes() -> None:
    assert str(Problem("", "/a\n\x1b[2J\u202e", 1, 1, "odd")) == "1:1 /a\\u000a\\u001b[2J\\u202e: odd"


def test_policy_rejected_prints_one_line_for_each_problem() -> None:
    rejected = PolicyRejected((Problem("p", "/a", 1, 2, "one"), Problem("p", "/b", 2, 3, "two")))
    assert str(rejected).splitlines() == ["p:1:2 /a: one", "p:2:3 /b: two"]
    assert isinstance(rejected, TranslatorError)
    assert (rejected.code, bool(rejected.hint)) == ("policy_rejected", True)
