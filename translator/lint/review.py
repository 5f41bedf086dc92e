"""Everything there is to say about one policy: its problems, or what the lints find, in the order of the document."""

from collections.abc import Sequence
from dataclasses import dataclass

from translator.compile import examined
from translator.errors import Problem
from translator.inventory import Inventory
from translator.lint import arguments, counting, names, permits, reach
from translator.lint.subject import subject
from translator.report import Report


@dataclass(frozen=True, slots=True)
class Review:
    """What was found. `permitted` counts the tools of the inventory that the policy may let pass, if that is known."""

    findings: tuple[Problem, ...]
    permitted: int | None = None

    @property
    def is_valid(self) -> bool:
        """Would a gateway load the policy?"""
        return all(each.severity != "error" for each in self.findings)


def review(
    text: bytes, *, inventory: Inventory | None = None, approval_map: Sequence[str] = (), policy_id: str = ""
) -> Review:
    """The findings about the policy, errors and lints; a part of it that has an error is not linted.

    Shape: as `compile.compile_policy`. `inventory` has the tools of the server that the policy is for.
    """
    report = Report()
    decoded, root, policy = examined(text, report)
    permitted = None
    if root is not None and policy is not None and report.offsets()[:1] != [-1]:
        about = subject(root, policy, report, inventory, tuple(approval_map))
        names.lint(about, report)
        arguments.lint(about, report)
        counting.lint(about, report)
        denied = reach.lint(about, report)
        permitted = permits.lint(about, denied, report)
    return Review(report.problems(decoded, policy_id), permitted)
