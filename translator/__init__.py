"""Policies in, a bundle for OPA out. What is exported here is public; the modules are not."""

from collections.abc import Mapping, Sequence

from translator.bundle import Bundle, Compiled, Part, build, pack, tarred
from translator.compile import compile_policy
from translator.errors import PolicyRejected, Problem, TranslatorError
from translator.explain import explain
from translator.generated import suite
from translator.program import Program
from translator.received import BundleRejected, Received, received

__all__ = [
    "Bundle",
    "BundleRejected",
    "Compiled",
    "Part",
    "PolicyRejected",
    "Problem",
    "Program",
    "Received",
    "TranslatorError",
    "explain",
    "pack",
    "parse",
    "received",
    "suite",
    "tarred",
    "translate",
]


def parse(text: bytes, *, approval_map: Sequence[str] = ()) -> Program:
    """What one policy means.

    Raises: PolicyRejected with every problem, under the policy id "".
    """
    return compile_policy(text, approval_map=approval_map)


def translate(
    policies: Mapping[str, bytes],
    *,
    approval_map: Sequence[str] | Mapping[str, Sequence[str]] = (),
    part: Part = Part.ALL,
    metadata: Mapping[str, str | int] | None = None,
) -> Bundle:
    """The bundle of all policies, by id: the same arguments give the same bytes.

    Shape: `approval_map` lists the exact `on_deny` texts that ask for a person's approval: for every policy, or by id.
    `part` and `metadata` are as `bundle.build` has them.
    Raises: PolicyRejected with every problem of every policy.
    """
    programs = {}
    problems: list[Problem] = []
    for policy_id, text in policies.items():
        try:
            texts = approval_map.get(policy_id, ()) if isinstance(approval_map, Mapping) else approval_map
            programs[policy_id] = compile_policy(text, approval_map=texts, policy_id=policy_id)
        except PolicyRejected as rejected:
            problems.extend(rejected.problems)
    if problems:
        raise PolicyRejected(tuple(problems))
    return build(programs, part=part, metadata=metadata)
