"""The way from a policy's bytes to its meaning, step by step. Each step lives in its own module."""

from collections.abc import Sequence
from dataclasses import dataclass

from translator import check, document, source
from translator.errors import PolicyRejected
from translator.lower import lower
from translator.model import Policy
from translator.program import Program
from translator.report import Report
from translator.tree import Node


@dataclass(frozen=True, slots=True)
class Checked:
    """A policy without problems: its decoded text, its tree with positions, and what it says."""

    text: str
    root: Node
    policy: Policy


def examined(text: bytes, report: Report) -> tuple[str, Node | None, Policy | None]:
    """The text and what could be read of it; every problem goes into the report."""
    decoded = source.decode(text, report)
    root = None if report else source.read(decoded, report)
    policy = document.policy(root, report) if root else None
    if policy is not None:
        check.check(policy, report)
    return decoded, root, policy


def checked(text: bytes, policy_id: str = "") -> Checked:
    """The policy as written. `policy_id` only labels the problems.

    Shape: `text` is a JSON document.
    Raises: PolicyRejected with every problem, in document order.
    Source: policy-semantics, sections 1 to 9 and 15.
    """
    report = Report()
    decoded, root, policy = examined(text, report)
    if root is None or policy is None or report:
        raise PolicyRejected(report.problems(decoded, policy_id))
    return Checked(decoded, root, policy)


def compile_policy(text: bytes, *, approval_map: Sequence[str] = (), policy_id: str = "") -> Program:
    """What the policy means. `policy_id` only labels the problems.

    Shape: `text` is a JSON document; `approval_map` lists the exact `on_deny` texts that ask for an approval.
    Raises: PolicyRejected with every problem, in document order.
    """
    return lower(checked(text, policy_id).policy, approval_map)
