from datetime import UTC, datetime, timedelta, timezone

import pytest

from sidecar.cli import terminal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é", "plain é"),
        ("a\x1b[2Jb", "a\\u001b[2Jb"),
        ("a\nb\r", "a\\u000ab\\u000d"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_printable_escapes_what_steers_a_terminal(text: str, expected: str) -> None:
    assert terminal.printable(text) == expected


def test_table_lines_up_and_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(("ID", "TOOL"), [("a", "x\n"), ("long-id", "")])
    assert capsys.readouterr().out == "ID       TOOL\na        x\\u000a\nlong-id\n"


def test_table_without_rows_is_its_heads(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(("A", "B"), [])
    assert capsys.readouterr().out == "A  B\n"


def test_moment_is_utc() -> None:
    assert terminal.moment(datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=1)))) == "2026-01-01T00:00:00Z"
    assert terminal.moment(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00Z"
