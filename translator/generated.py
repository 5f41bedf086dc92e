"""Program → a Rego test of its module: what stock `opa test` runs against the bundle. Knows no files and no OPA.

Text of a policy goes through `literal` only. What is expected stands in `samples`; here it is only written down.
"""

import re
from collections.abc import Iterator, Sequence

from translator import literal
from translator.program import Guard, Json, Limit, Number, Program, Section, Step
from translator.samples import Count, Sample, of_guard, of_limit, quiet

_APPROVALS = (Step.TOOL_APPROVAL, Step.ALL_APPROVAL)
UNKNOWN = "a tool that no policy lists"

_LIBRARY = """\
# The rules that fire on a call: rule id → outcome.
fired(call) := {stop[3]: stop[2] | some stop in policy.stop with input as call}

fires(tool, args, outcome, rule) if {
	fired(_call(tool, args))[rule] == outcome
	decided(_call(tool, args))
}

silent(tool, args, rule) if {
	not fired(_call(tool, args))[rule]
	decided(_call(tool, args))
}

counts(tool, args, expected) if {
	some limit in policy.limits with input as _call(tool, args)
	limit[2] == expected
}

# The decision names the first rule in the written order that fires; without one the call is allowed.
decided(call) if {
	rules := fired(call)
	first := [rule | some rule in object.get(order, call.tool, []); rules[rule]][0]
	decision := gate.decision with input as call
	[decision.outcome, decision.rule] == [rules[first], first]
}

decided(call) if {
	count(fired(call)) == 0
	decision := gate.decision with input as call
	[decision.outcome, decision.rule] == ["allow", ""]
}

decided(call) if object.get(order, call.tool, null) == null

refused(tool, rule) if {
	decision := gate.decision with input as _call(tool, {})
	[decision.outcome, decision.rule] == ["deny", rule]
}

_call(tool, args) := {"policy": id, "server": "s", "grant": "g", "tool": tool, "args": args}"""


def suite(program: Program, policy_id: str) -> str:
    """The text of the policy's tests. Rules that cannot be tried one by one are named in a comment."""
    names = _Names()
    blocks = [
        "# METADATA\n"
        f"# title: {literal.note(policy_id)}\n"
        "# description: Made by `regate build --tests` from the policy of this name. Make it again after a change.\n"
        f"package regate_tests{literal.step(policy_id)}",
        f"import data.mcp.gate\nimport data.mcp.policies{literal.step(policy_id)} as policy",
        f"id := {literal.string(policy_id)}",
        f"# The rules of each tool that can be called, in the order of evaluation.\norder := {_order(program)}",
        _LIBRARY,
        *_fates(program, names),
        *_rules(program, names),
    ]
    return "\n\n".join(blocks) + "\n"


def _order(program: Program) -> str:
    callable_tools = [tool for tool in (*program.tools, unknown(program)) if _callable(program, tool)]
    if not callable_tools:
        return "{}"
    return (
        "{\n"
        + "".join(f"\t{literal.string(tool)}: {_list(_ids(program, tool), 1)},\n" for tool in callable_tools)
        + "}"
    )


def _ids(program: Program, tool: str) -> list[str]:
    sections = (program.tools.get(tool, Section()), program.all_tools)
    guards = sorted((guard for section in sections for guard in section.guards), key=lambda guard: guard.step)
    limits = [limit for section in sections for limit in section.limits]
    return [literal.string(rule) for rule in (*(guard.rule for guard in guards), *(limit.rule for limit in limits))]


def unknown(program: Program) -> str:
    """A tool that the policy does not name."""
    name = UNKNOWN
    while name in program.tools or name in program.hide:
        name += "!"
    return name


def _callable(program: Program, tool: str) -> bool:
    hidden = tool in program.hide or "*" in program.hide
    return not hidden and (tool in program.tools or program.fallback == "allow")


def _fates(program: Program, names: "_Names") -> Iterator[str]:
    """Hidden tools, tools that no policy names, and tools on which there may be no rule at all."""
    stranger = unknown(program)
    hidden = [name for name in program.hide if name != "*"] + ([stranger] if "*" in program.hide else [])
    for rule, tools in (("(hidden)", hidden), ("(default deny)", [] if _reached(program) else [stranger])):
        if tools:
            listed = _list([literal.string(tool) for tool in tools], 1)
            yield _test(names.of(rule), [f'every tool in {listed} {{\n\t\trefused(tool, "{rule}")\n\t}}'])
    yield _test(
        names.of("without arguments"), ["every tool in object.keys(order) {\n\t\tdecided(_call(tool, {}))\n\t}"]
    )


def _reached(program: Program) -> bool:
    """Does a tool that no policy names come to the rules, or is it hidden already?"""
    return program.fallback == "allow" or "*" in program.hide


def _rules(program: Program, names: "_Names") -> Iterator[str]:
    stranger = unknown(program)
    anyone = next((tool for tool in (stranger, *program.tools) if _callable(program, tool)), stranger)
    untested = []
    for tool, section in (*program.tools.items(), (anyone, program.all_tools)):
        calm = quiet((program.tools.get(tool, Section()), program.all_tools))
        for guard in section.guards:
            samples = of_guard(guard, calm)
            if any(sample.fires for sample in samples):
                yield _guard(tool, guard, samples, names)
            else:
                untested.append(guard.rule)
        for limit in section.limits:
            counts = of_limit(limit, calm)
            if counts:
                yield _limit(tool, limit, counts, names)
            else:
                untested.append(limit.rule)
    yield from _untested(untested)


def _guard(tool: str, guard: Guard, samples: Sequence[Sample], names: "_Names") -> str:
    outcome = "approval_required" if guard.step in _APPROVALS else "deny"
    loud = [sample.arguments for sample in samples if sample.fires]
    still = [sample.arguments for sample in samples if not sample.fires]
    body = [*_fires(tool, outcome, loud), *_silent(tool, still)]
    return _about(guard.rule, body, names)


def _limit(tool: str, limit: Limit, counts: Sequence[Count], names: "_Names") -> str:
    refused = [count.arguments for count in counts if count.amounts is None]
    counted = [(count.arguments, count.amounts) for count in counts if count.amounts is not None]
    body = [
        *_fires(tool, "deny", refused),
        *_silent(tool, [arguments for arguments, _ in counted]),
        *(_counts(tool, limit, *each) for each in counted),
    ]
    return _about(limit.rule, body, names)


def _about(rule: str, body: Sequence[str], names: "_Names") -> str:
    return f"# Rule {literal.note(rule)}\n" + _test(names.of(rule), [f"rule := {literal.string(rule)}", *body])


def _untested(rules: Sequence[str]) -> Iterator[str]:
    if rules:
        yield "\n".join(
            ["# Not tested, since no call was found on which one of these rules alone depends:"]
            + [f"#   {literal.note(rule)}" for rule in rules]
        )


def _fires(tool: str, outcome: str, calls: Sequence[dict[str, Json]]) -> Iterator[str]:
    if calls:
        yield f'every args in {_calls(calls)} {{\n\t\tfires({literal.string(tool)}, args, "{outcome}", rule)\n\t}}'


def _silent(tool: str, calls: Sequence[dict[str, Json]]) -> Iterator[str]:
    if calls:
        yield f"every args in {_calls(calls)} {{\n\t\tsilent({literal.string(tool)}, args, rule)\n\t}}"


def _counts(tool: str, limit: Limit, arguments: dict[str, Json], amounts: Sequence[Number]) -> str:
    obligation: dict[str, str] = {
        "rule": "rule",
        "message": literal.string(limit.message),
        "counter": literal.string(limit.counter),
        "window": literal.string(limit.window) if isinstance(limit.window, str) else str(limit.window),
        "max": literal.value(limit.max),
        "scope": literal.string(limit.scope),
        "amounts": literal.value(list(amounts)),
    }
    members = "".join(f'\t\t"{name}": {text},\n' for name, text in obligation.items())
    return f"counts({literal.string(tool)}, {literal.value(arguments)}, {{\n{members}\t}})"


def _calls(calls: Sequence[dict[str, Json]]) -> str:
    return _list([literal.value(call) for call in calls], 1)


def _list(terms: Sequence[str], depth: int) -> str:
    """As `opa fmt` leaves it: one term on the line, several on lines of their own."""
    if len(terms) < 2:
        return f"[{''.join(terms)}]"
    inner = "\t" * (depth + 1)
    return "[\n" + "".join(f"{inner}{term},\n" for term in terms) + "\t" * depth + "]"


def _test(name: str, body: Sequence[str]) -> str:
    return f"test_{name} if {{\n" + "".join(f"\t{expression}\n" for expression in body) + "}"


class _Names:
    """Names for tests: letters, digits and `_`, none twice."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, rule: str) -> str:
        plain = re.sub("[^A-Za-z0-9]+", "_", rule).strip("_").lower()[:80] or "rule"
        name, count = plain, 1
        while name in self._taken:
            count += 1
            name = f"{plain}_{count}"
        self._taken.add(name)
        return name
