"""What every implementation of the port `AuditLog` must do. `SUITE` holds the checks; each is given a fresh log.

`written` gives the records that a reader of the closed log finds.
"""

from collections.abc import Awaitable, Callable, Sequence

from sidecar.core.record import AuditRecord
from sidecar.ports import AuditLog

Check = Callable[[AuditLog, Callable[[], Sequence[AuditRecord]]], Awaitable[None]]
SUITE: list[Check] = []


def check(one: Check) -> Check:
    SUITE.append(one)
    return one


def record(number: int = 0, *, grant: str = "g1", outcome: str = "allow", at: str = "") -> AuditRecord:
    return AuditRecord(
        at=at or f"2026-03-01T12:00:{number % 60:02}.000Z",
        server="bank",
        grant=grant,
        method="tools/call",
        tool=f"tool{number}",
        argument_keys=("amount", "to"),
        policy="p",
        revision="sha256:1",
        outcome=outcome,
        rule="",
        message="",
        result="result",
        duration_ms=1.5,
        person="user",
    )


@check
async def append_closed_all_written_in_order(log: AuditLog, written: Callable[[], Sequence[AuditRecord]]) -> None:
    records = [record(number) for number in range(2500)]
    for one in records:
        log.append(one)
    await log.close()
    assert list(written()) == records


@check
async def close_empty_nothing_written(log: AuditLog, written: Callable[[], Sequence[AuditRecord]]) -> None:
    assert log.healthy
    await log.close()
    assert list(written()) == []


@check
async def append_odd_text_kept(log: AuditLog, written: Callable[[], Sequence[AuditRecord]]) -> None:
    odd = AuditRecord("t", "s", "g", "m", 'a"b\x00ü\n', ("", "k,1", "ключ", "\x00"), "", "", "deny", "r", "m")
    log.append(odd)
    await log.close()
    assert list(written()) == [odd]
