"""What lints say of generated policies against what the reference answers to generated calls. Needs no OPA."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
from hypothesis import HealthCheck, given, settings

from tests.decisions.generated import cases, dump
from tests.decisions.reference import Gateway, parsed
from translator import canonical, naming, parse
from translator.compile import checked
from translator.errors import PolicyRejected
from translator.lint.review import review
from translator.model import ListName
from translator.schema import schema

SCHEMA = jsonschema.Draft202012Validator(schema())
LISTS: tuple[ListName, ...] = ("require", "deny_if", "require_approval", "limits")
USELESS = ("shadowed_rule", "never_fires")


def _rules(text: bytes) -> Iterator[tuple[str, str]]:
    """The pointer and the id of each rule."""
    policy = checked(text).policy
    for tool, rules in [*policy.tools.items(), (None, policy.all_tools)]:
        for name in LISTS:
            ids = naming.rule_ids(naming.place(tool), rules, name)
            yield from ((item.at.pointer(), id_) for item, id_ in zip(getattr(rules, name), ids, strict=True))


def _decided(case: dict[str, Any], approval_map: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each call's tool, and the answer."""
    gateway = Gateway(parsed(dump(case["policy"])), approval_map)
    for call in case["calls"]:
        text = call.get("arguments_raw", call.get("arguments", "{}"))
        yield call["tool"], gateway.call({**call, "text": text})


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_rule_that_a_lint_calls_useless_decides_no_call(case: dict[str, Any]) -> None:
    approval_map = case.get("options", {}).get("approval_map", [])
    text = dump(case["policy"]).encode()
    found = review(text, approval_map=approval_map)
    if case["policy"] is None or not found.is_valid:
        return
    ids = dict(_rules(text))
    unsure = ("can never be true", "is never reached: ")
    told = {ids[each.pointer] for each in found.findings if each.code in USELESS and unsure[0] not in each.message}
    told -= {ids[each.pointer] for each in found.findings if unsure[1] in each.message and each.code == "never_fires"}
    shut = {each.pointer.split("/")[2] for each in found.findings if each.code == "always_denies"}
    for tool, answer in _decided(case, approval_map):
        assert answer["rule"] not in told
        assert answer["outcome"] == "deny" or tool.replace("~", "~0").replace("/", "~1") not in shut


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_policy_that_is_accepted_satisfies_the_schema_and_means_the_same_in_canonical_form(
    case: dict[str, Any],
) -> None:
    text = dump(case["policy"]).encode()
    try:
        program = parse(text)
    except PolicyRejected:
        return
    assert [error.message for error in SCHEMA.iter_errors(json.loads(text))] == []
    assert parse(canonical.text(checked(text).root).encode()) == program
