import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sidecar.audit.sqlite
from sidecar.audit.sqlite import SqliteAudit
from sidecar.core.record import AuditRecord
from sidecar.database import open_database

Regate = Callable[..., Any]

ALLOWED = AuditRecord(
    "2026-01-01T00:00:00.000Z", "git", "ci", "tools/call", "git_log", ("max_count",), "p", "sha256:1", "allow", "", "",
    result="result", duration_ms=12.34,
)  # fmt: skip
DENIED = AuditRecord(
    "2026-01-01T00:00:01.000Z", "git", "ann", "tools/call", "x\x1b[2J", (), "p", "sha256:1", "deny", "(hidden)",
    'Tool "x" is hidden by policy', approval="apr_1",
)  # fmt: skip
REFUSED = AuditRecord(
    "2026-01-01T00:00:02.000Z", "", "", "", "", (), "", "", "refused", "", "", cause="unknown_grant"
)  # fmt: skip


@pytest.fixture
def _written(tmp_path: Path) -> None:
    async def write() -> None:
        audit = SqliteAudit(open_database(tmp_path / "state", "audit"), lambda record: None)
        for record in (ALLOWED, DENIED, REFUSED):
            audit.append(record)
        await audit.close()

    asyncio.run(write())


@pytest.mark.usefixtures("_written")
def test_tail_prints_a_line_per_call_oldest_first(regate: Regate) -> None:
    done = regate("audit", "tail")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "2026-01-01T00:00:00.000Z  allow  git  ci  git_log(max_count)  result 12.3 ms",
        "2026-01-01T00:00:01.000Z  deny  git  ann  x\\u001b[2J()  "
        '(hidden): Tool "x" is hidden by policy  [apr_1]  0.0 ms',
        "2026-01-01T00:00:02.000Z  refused  -  -  -  unknown_grant  0.0 ms",
    ]


@pytest.mark.usefixtures("_written")
@pytest.mark.parametrize(
    ("arguments", "outcomes"),
    [
        (["-n", "2"], ["deny", "refused"]),
        (["-n", "0"], []),
        (["--grant", "ci"], ["allow"]),
        (["--grant", "nobody"], []),
        (["--outcome", "deny"], ["deny"]),
        (["--grant", "ci", "--outcome", "deny"], []),
    ],
)
def test_tail_prints_what_was_asked_for(arguments: list[str], outcomes: list[str], regate: Regate) -> None:
    done = regate("audit", "tail", "--format", "json", *arguments)
    assert [json.loads(line)["outcome"] for line in done.out.splitlines()] == outcomes


@pytest.mark.usefixtures("_written")
def test_tail_as_json_is_the_whole_record(regate: Regate) -> None:
    entry = json.loads(regate("audit", "tail", "--format", "json", "-n", "3").out.splitlines()[0])
    assert entry["argument_keys"] == ["max_count"]
    assert entry["duration_ms"] == 12.34


@pytest.mark.usefixtures("_written")
def test_tail_that_follows_ends_well_when_interrupted(regate: Regate, monkeypatch: pytest.MonkeyPatch) -> None:
    def records(path: Path, count: int, *, follow: bool, grant: str | None, outcome: str | None) -> Iterator[Any]:
        assert (count, follow) == (20, True)
        yield ALLOWED
        raise KeyboardInterrupt

    monkeypatch.setattr(sidecar.audit.sqlite, "tail", records)
    done = regate("audit", "tail", "--follow")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("2026-01-01T00:00:00.000Z  allow")
