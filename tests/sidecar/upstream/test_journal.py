from structlog.testing import capture_logs

from sidecar.upstream import journal


def test_journal_entry_keeps_its_level_and_values() -> None:
    with capture_logs() as entries:
        journal.info("server_stderr", server="git", pid=4)
        journal.warning("server_junk_on_stdout", bytes=3)
    assert entries == [
        {"event": "server_stderr", "log_level": "info", "server": "git", "pid": 4},
        {"event": "server_junk_on_stdout", "log_level": "warning", "bytes": 3},
    ]
