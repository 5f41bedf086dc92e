from pathlib import Path

import pytest

from sidecar.cli import casefiles
from sidecar.cli.files import FileFailed

GOOD = (
    '{"id": "x", "policy": {"version": "1", "default": "deny"}, "expect": [{"outcome": "deny"}],'
    ' "calls": [{"tool": "t", "at": "2026-11-20T10:00:00Z", "grant": "g"}]}'
)


def test_files_are_read_together_and_every_fault_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b\x1b[31m.jsonl"
    first.write_text(GOOD, encoding="utf-8")
    second.write_text(f'{GOOD}\n{{"id": 7}}\n', encoding="utf-8")
    held = casefiles.read([first, second])
    assert held.paths == [first, second]
    assert {(path, fault.line) for path, fault in held.faults} == {(second, 2)}
    assert held.documents()[0] == {
        "file": str(second),
        "line": 2,
        "message": "id: expected `str`, got `int`",
        "hint": "",
    }
    assert f"{tmp_path}/b\\u001b[31m.jsonl:2: id: expected" in capsys.readouterr().err


def test_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileFailed):
        casefiles.read([tmp_path])
