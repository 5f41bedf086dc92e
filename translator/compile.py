"""The way from a policy's bytes to its meaning, step by step. Each step lives in its own module."""

from collections.abc import Sequence

from translator.program import Program


def compile_policy(text: bytes, *, approval_map: Sequence[str] = (), policy_id: str = "") -> Program:
    """What the policy means. `policy_id` only labels the problems.

    Shape: `text` is a JSON document; `approval_map` lists the exact `on_deny` texts that ask for an approval.
    Raises: PolicyRejected with every problem, in document order.
    Source: policy-semantics, sections 1 to 9 and 15.
    """
    raise NotImplementedError
