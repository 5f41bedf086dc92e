import pytest

from translator import report as module
from translator.report import Report, quote
from translator.tree import FAULT, Node


def _tree() -> tuple[Node, Node, Node]:
    """`{"a": [1]}` over two lines, without its text."""
    root = Node({}, 0)
    member = Node([], 6, "a", 2, root)
    return root, member, Node(None, 9, 0, 9, member)


TEXT = '{\n"a": [\n 1]}'


def test_report_without_findings_is_false_and_tells_nothing() -> None:
    report = Report()
    assert not report
    assert report.problems("", "p") == ()


def test_report_tells_an_object_before_its_members_and_the_root_first_of_all() -> None:
    root, member, element = _tree()
    report = Report()
    report.add(element, "third")
    report.add(member, "second", "hint", rule="/rule")
    report.add(root, "first")
    report.unreadable(11, "before all")
    told = report.problems(TEXT, "p")
    assert report
    assert [(each.message, each.pointer, each.line, each.column) for each in told] == [
        ("before all", "", 3, 3),
        ("first", "", 1, 1),
        ("second", "/rule", 2, 5),
        ("third", "/a/0", 3, 1),
    ]
    assert told[2].hint == "hint"


@pytest.mark.parametrize("text", ["a\r\nb\nc\rd", "a\nb\nc\nd"])
def test_report_counts_every_kind_of_line_end_once(text: str) -> None:
    report = Report()
    report.unreadable(len(text) - 1, "here")
    (told,) = report.problems(text, "")
    assert (told.line, told.column) == (4, 1)


def test_report_counts_columns_in_code_points() -> None:
    report = Report()
    report.unreadable(3, "here")
    assert report.problems("😀é\u0301x", "")[0].column == 4


def test_report_of_a_value_already_reported_stays_silent() -> None:
    node = Node(FAULT, 0)
    report = Report()
    report.add(node, "no")
    report.wrong_type(node, "a string")
    report.not_one_of(node, ("a",))
    assert not report
    report.fault(node, "yes")
    assert [each.message for each in report.problems("", "")] == ["yes"]


def test_report_of_a_wrong_type_names_both_types() -> None:
    report = Report()
    report.wrong_type(Node(None, 0), "a string", "hint")
    (told,) = report.problems("", "")
    assert (told.message, told.hint) == ("must be a string, not null", "hint")


def test_report_of_a_wrong_name_points_at_the_name() -> None:
    _, member, _ = _tree()
    report = Report()
    report.wrong_name(member, "no such name")
    assert (report.problems(TEXT, "")[0].line, report.problems(TEXT, "")[0].column) == (2, 1)


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("onDeny", 'did you mean "on_deny"?'),
        ("ON-DENY", 'did you mean "on_deny"?'),
        ("condition", 'did you mean "conditions"?'),
        ("zzz", 'expected one of "on_deny", "conditions"'),
        ("x" * 1000, 'expected one of "on_deny", "conditions"'),
    ],
)
def test_report_of_an_unknown_member_suggests_the_nearest(written: str, hint: str) -> None:
    report = Report()
    report.unknown(Node(1 == 1, 9, written, 1, Node({}, 0)), ("on_deny", "conditions"))
    (told,) = report.problems("{", "")
    assert told.hint == hint
    assert told.message.startswith("unknown member")
    assert len(told.message) < 120


def test_report_of_an_unknown_member_prefers_a_given_hint() -> None:
    report = Report()
    report.unknown(Node(None, 9, "message", 1, Node({}, 0)), ("on_deny",), "it is called on_deny")
    assert report.problems("{", "")[0].hint == "it is called on_deny"


def test_report_of_an_unknown_word_suggests_the_nearest() -> None:
    report = Report()
    report.not_one_of(Node("Minutes", 0), ("minute", "hour"))
    (told,) = report.problems("", "")
    assert (told.message, told.hint) == ('unknown value "Minutes"', 'did you mean "minute"?')


def test_report_of_a_value_that_is_no_word_lists_the_words() -> None:
    report = Report()
    report.not_one_of(Node(None, 0), ("minute", "hour"))
    assert report.problems("", "")[0].message == 'must be one of "minute", "hour", not null'


@pytest.mark.parametrize(("limit", "size"), [("MAX_PROBLEMS", 3), ("MAX_POINTER_CHARS", 6)])
def test_report_past_a_bound_says_how_many_are_left(monkeypatch: pytest.MonkeyPatch, limit: str, size: int) -> None:
    monkeypatch.setattr(module, limit, size)
    _, member, _ = _tree()
    report = Report()
    for _ in range(5):
        report.add(member, "again")
    told = report.problems(TEXT, "")
    assert [each.message for each in told] == ["again"] * 3 + ["2 more problems follow"]


def test_report_at_a_bound_exactly_tells_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PROBLEMS", 3)
    report = Report()
    for _ in range(3):
        report.unreadable(0, "again")
    assert len(report.problems("", "")) == 3


def test_quote_of_a_long_text_is_shortened_and_escaped() -> None:
    assert quote('a"\n') == '"a\\"\\n"'
    assert quote("é" * 81) == '"' + "é" * 80 + '…"'


def test_report_tells_what_a_lint_says_with_its_code_at_the_value_or_at_the_name() -> None:
    _, member, _ = _tree()
    report = Report()
    report.advise(member, "odd_value", "note", "odd", "hint")
    report.advise(member, "odd_name", "warning", "odd", name=True)
    told = [(each.line, each.column, each.code, each.severity, each.hint) for each in report.problems(TEXT, "p")]
    assert told == [(2, 5, "odd_value", "note", "hint"), (2, 1, "odd_name", "warning", "")]
    assert report.offsets() == [2, 2]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("error", ("invalid_policy", "error")),
        ("warning", ("not_examined", "warning")),
        ("note", ("not_examined", "note")),
    ],
)
def test_report_past_a_bound_is_as_bad_as_the_worst_that_is_left(
    monkeypatch: pytest.MonkeyPatch, last: module.Severity, expected: tuple[str, str]
) -> None:
    monkeypatch.setattr(module, "MAX_PROBLEMS", 1)
    _, member, element = _tree()
    report = Report()
    report.advise(member, "odd", "note", "odd")
    report.advise(member, "odd", "note", "odd")
    assert len(report.problems(TEXT, "")) == 2
    report.advise(element, "odd", last, "worse")
    told = report.problems(TEXT, "")
    assert [(each.code, each.severity) for each in told] == [("odd", "note"), expected]
