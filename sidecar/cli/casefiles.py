"""Case files that a command line names: read, and what is wrong with them printed. Runs no case."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.cli import files
from sidecar.cli.terminal import note, printable

if TYPE_CHECKING:
    from sidecar.proving.cases import Case, Fault


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """What some files hold; `paths` has the file of each case."""

    cases: "list[Case]"
    paths: list[Path]
    faults: "list[tuple[Path, Fault]]"

    def documents(self) -> list[dict[str, Any]]:
        """The faults, for JSON."""
        return [
            {"file": str(path), "line": fault.line, "message": fault.message, "hint": fault.hint}
            for path, fault in self.faults
        ]


def read(paths: Sequence[Path], lent: bytes | None = None) -> CaseFiles:
    """What the files hold; every fault is told on stderr. `lent` is a policy for cases that bring none.

    Raises: FileFailed.
    """
    from msgspec import UNSET

    from sidecar.proving import cases

    fallback = UNSET if lent is None else lent
    held = CaseFiles([], [], [])
    for path in paths:
        found, faults = cases.read(files.read(path), fallback)
        held.cases.extend(found)
        held.paths.extend(path for _ in found)
        held.faults.extend((path, fault) for fault in faults)
        for fault in faults:
            note(printable(f"{path}:{fault.line}: {fault.message}"))
            if fault.hint:
                note(printable(f"  hint: {fault.hint}"))
    return held
