import json

import pytest

import translator
from translator import Bundle, Compiled, PolicyRejected, Program, parse, translate

ALLOW = b'{"version": "1", "default": "allow"}'
ASKS = b'{"version": "1", "default": "deny", "tools": {"t": {"deny_if": [{"conditions": [], "on_deny": "Ask."}]}}}'


def test_public_names_are_those_listed() -> None:
    assert all(getattr(translator, name) is not None for name in translator.__all__)
    assert {"Bundle", "Compiled", "PolicyRejected", "Problem", "explain", "parse", "translate"} <= {*translator.__all__}


def test_translate_gives_the_bundle_of_all_policies() -> None:
    bundle = translate({"b": ALLOW, "a": ASKS})
    assert isinstance(bundle, Bundle)
    assert bundle.policies["b"] == Compiled(bundle.policies["b"].revision, Program("allow"))
    assert translate({"a": ASKS, "b": ALLOW}).data == bundle.data


def test_translate_of_no_policy_gives_the_library() -> None:
    assert translate({}).policies == {}


def test_translate_with_an_approval_map_makes_another_bundle() -> None:
    assert translate({"a": ASKS}, approval_map=["Ask."]).revision != translate({"a": ASKS}).revision
    assert translate({"a": ASKS}, approval_map=["ask."]).revision == translate({"a": ASKS}).revision


def test_translate_reports_every_problem_of_every_policy() -> None:
    bad = json.dumps({"version": 1, "default": "maybe"}).encode()
    with pytest.raises(PolicyRejected) as rejected:
        translate({"one": bad, "good": ALLOW, "two": b"{"})
    found = [(problem.policy, problem.pointer) for problem in rejected.value.problems]
    assert found == [("one", "/version"), ("one", "/default"), ("two", "")]


def test_parse_gives_the_program_and_reports_without_an_id() -> None:
    assert parse(ALLOW) == Program("allow")
    with pytest.raises(PolicyRejected) as rejected:
        parse(b"[]")
    assert [problem.policy for problem in rejected.value.problems] == [""]
