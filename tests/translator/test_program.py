"""Source: policy-semantics, section 2."""

from translator.program import Program, Section, Step


def test_steps_stand_in_the_order_of_evaluation() -> None:
    assert [step.name for step in sorted(Step)] == [
        "TOOL_REQUIRE",
        "TOOL_DENY",
        "ALL_REQUIRE",
        "ALL_DENY",
        "TOOL_APPROVAL",
        "ALL_APPROVAL",
        "TOOL_LIMIT",
        "ALL_LIMIT",
    ]


def test_program_without_rules_has_empty_parts() -> None:
    program = Program("deny")
    assert (program.hide, dict(program.tools), program.all_tools) == ((), {}, Section())
