"""The patterns of policies that the OPA found here refuses. RE2 has taken them before; both must. Without OPA: none."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sidecar.errors import CannotDecide, OpaMissing

if TYPE_CHECKING:
    from translator.errors import Problem
    from translator.program import Guard, Program


def problems(programs: Mapping[str, "Program"]) -> "list[Problem]":
    """A problem for every rule of every policy whose pattern OPA refuses. Raises: CannotDecide."""
    from sidecar.opa import binary, patterns
    from translator import Problem
    from translator.literal import note

    used = [(id_, rule, pattern) for id_, program in programs.items() for rule, pattern in _patterns(program)]
    try:
        opa = binary.find() if used else None
    except OpaMissing as error:
        raise CannotDecide(str(error), hint=error.hint) from error
    if opa is None:
        return []
    refused = set(patterns.refused(opa, dict.fromkeys(pattern for _, _, pattern in used)))
    hint = "RE2 takes it, OPA does not; write it in another way"
    return [
        Problem(id_, rule, 1, 1, f"OPA refuses the pattern {note(pattern)}", hint)
        for id_, rule, pattern in used
        if pattern in refused
    ]


def _patterns(program: "Program") -> Iterator[tuple[str, str]]:
    from translator.program import Op

    guards: list[Guard] = [guard for section in program.tools.values() for guard in section.guards]
    for guard in (*guards, *program.all_tools.guards):
        for condition in guard.conditions:
            if condition.op is Op.REGEX:
                yield guard.rule, str(condition.value)
