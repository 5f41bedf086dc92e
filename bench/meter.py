"""What the kernel says a process used: CPU time and resident memory, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time since the process began, and the memory it holds now."""

    cpu_us: float
    rss_mb: float


def usage(pid: int) -> Usage:
    """The use of one process with all its threads, without its children."""
    fields = _stat(pid)
    cpu_us = (int(fields[11]) + int(fields[12])) * 1e6 / _TICKS_PER_S
    return Usage(cpu_us, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6)


def child(pid: int, name: str) -> int:
    """The child of `pid` whose program's name begins with `name`. Raises: LookupError."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = _stat(int(entry.name))
            program = (entry / "comm").read_text(encoding="utf-8").strip()
        except OSError:
            continue
        if int(fields[1]) == pid and program.startswith(name):
            return int(entry.name)
    raise LookupError(f"process {pid} has no child {name}")


def _stat(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    return text.rpartition(")")[2].split()
