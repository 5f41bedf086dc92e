"""The record itself is a value; what is put into it is tested with the exchange and the audit log."""

from datetime import UTC, datetime

import pytest

from sidecar.core.record import AuditRecord, written


@pytest.mark.parametrize(
    ("microsecond", "wanted"),
    [(0, "2026-01-02T03:04:05.000Z"), (1999, "2026-01-02T03:04:05.001Z"), (999_999, "2026-01-02T03:04:05.999Z")],
)
def test_written_has_milliseconds_cut_off_and_z(microsecond: int, wanted: str) -> None:
    assert written(datetime(2026, 1, 2, 3, 4, 5, microsecond, tzinfo=UTC)) == wanted


def test_record_that_is_made_up_is_its_own_entry() -> None:
    record = AuditRecord("t", "s", "g", "tools/call", "pay", (), "p", "r", "allow", "", "")
    assert record.record() is record
