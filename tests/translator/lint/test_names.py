import json
from typing import Any

import pytest

from translator import inventory
from translator.lint import names as module
from translator.lint.review import review

SERVER: dict[str, Any] = {
    name: {"type": "object"} for name in ("get_order", "get_orders", "delete_a", "delete_b", "x*")
}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"tools": {"get_order": {}, "get_oder": {}}, "hide": ["delete_a"]}, [("unknown_tool", "/tools/get_oder")]),
        ({"tools": {"get_order": {}}, "hide": ["Delete_A"]}, [("unknown_tool", "/hide/0")]),
        ({"tools": {"get_order": {}}, "hide": ["delete_*", "x*"]}, [("glob_name", "/hide/0")]),
        ({"tools": {"get_order": {}, "delete_*": {}}}, [("glob_name", "/tools/delete_*")]),
        ({"tools": {"get_order": {}, "delete_b": {}}, "hide": ["delete_b"]}, [("hidden_tool", "/tools/delete_b")]),
        ({"tools": {"get_order": {}, "delete_b": {"action": "hide"}}}, []),
        ({"default": "allow", "tools": {"get_order": {}}}, [("empty_tool_under_allow", "/tools/get_order")]),
        (
            {"default": "allow", "tools": {"get_order": {"deny_if": []}}},
            [("empty_tool_under_allow", "/tools/get_order")],
        ),
        ({"default": "allow", "tools": {"get_order": {"require": ["args.a"]}}}, []),
        ({"tools": {"get_order": {}}}, []),
        ({"default": "allow", "tools": {"get_order": {"action": "hide"}}}, []),
        (
            {"hide": ["*", "delete_a"], "tools": {"get_order": {}}},
            [("permits_nothing", ""), ("hidden_tool", "/hide/0"), ("redundant_hide", "/hide/1")],
        ),
        ({"hide": ["*"]}, [("permits_nothing", "")]),
        ({"hide": ["*"], "default": "allow", "tools": {}}, [("permits_nothing", "")]),
    ],
)
def test_names_that_mean_nothing_or_another_thing_are_told(
    policy: dict[str, Any], expected: list[tuple[str, str]], told: Any
) -> None:
    assert told(policy, server=SERVER) == expected


def test_names_without_a_list_of_tools_are_judged_by_themselves(told: Any) -> None:
    assert told({"tools": {"anything": {}}, "hide": ["other", "wsCancel*"]}) == [("glob_name", "/hide/1")]


def _hints(*names: str) -> list[str]:
    server = inventory.read(json.dumps([{"name": name} for name in SERVER]).encode())
    policy = {"version": "1", "default": "allow", "hide": names}
    return [each.hint for each in review(json.dumps(policy).encode(), inventory=server).findings]


def test_hint_names_the_nearest_tool_or_what_a_pattern_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _hints("get_oders", "zzz", "d*_*", "q*", "*t_o*s", "**", "delete_a*delete_a") == [
        'did you mean "get_orders"?',
        "names are compared exactly, upper and lower case too",
        'write every name out: "delete_a", "delete_b"',
        "write every name out",
        'write every name out: "get_orders"',
        'write every name out: "get_order", "get_orders", "delete_a" and 2 more',
        "write every name out",
    ]
    monkeypatch.setattr(module, "_GLOB_STEPS", 20)
    assert _hints("d*") == ['write every name out: "delete_a", "delete_b"']
    assert _hints("d*", "de*") == ['write every name out: "delete_a", "delete_b"', "write every name out"]
