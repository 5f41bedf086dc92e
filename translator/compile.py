"""The way from a policy's bytes to its meaning, step by step. Each step lives in its own module."""

from collections.abc import Sequence

from translator import check, document, source
from translator.errors import PolicyRejected
from translator.lower import lower
from translator.program import Program
from translator.report import Report


def compile_policy(text: bytes, *, approval_map: Sequence[str] = (), policy_id: str = "") -> Program:
    """What the policy means. `policy_id` only labels the problems.

    Shape: `text` is a JSON document; `approval_map` lists the exact `on_deny` texts that ask for an approval.
    Raises: PolicyRejected with every problem, in document order.
    Source: policy-semantics, sections 1 to 9 and 15.
    """
    report = Report()
    decoded = source.decode(text, report)
    tree = None if report else source.read(decoded, report)
    policy = document.policy(tree, report) if tree else None
    if policy is not None:
        check.check(policy, report)
    if policy is None or report:
        raise PolicyRejected(report.problems(decoded, policy_id))
    return lower(policy, approval_map)
