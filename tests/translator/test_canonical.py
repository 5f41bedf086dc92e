"""The canonical text of a policy. Source: policy-semantics, sections 1, 7 and 9 for the names of members."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator import parse
from translator.canonical import text
from translator.program import Number
from translator.report import Report
from translator.source import MAX_DEPTH, read
from translator.tree import Node

SHUFFLED = """{"tools": {"b": {}, "a": {
  "rate_limit": {"window": 60, "max": 1.0e1},
  "limits": [{"on_deny": "x", "as": "number", "increment_from": "args.n", "scope": "server", "max": 0.10,
              "window": "day", "counter": "c", "name": "n"}],
  "require_approval": [{"ttl_seconds": 60, "message": "ask"}],
  "deny_if": [{"value": {"z": 1, "a": null}, "path": "args.q", "op": "neq", "on_deny": "no", "name": "n"},
              {"on_deny": "no", "conditions": []}],
  "require": ["args.z", {"conditions": [{"as": "number", "value": [9007199254740993], "op": "in", "path": "args.n"}]}],
  "action": "require_approval", "reason": "r"}},
 "hide": ["z", "y"], "all_tools": {"limits": []}, "default": "deny", "description": "d", "version": "1",
 "$schema": "s"}"""

ORDERED = """{
  "$schema": "s",
  "version": "1",
  "description": "d",
  "default": "deny",
  "hide": [
    "z",
    "y"
  ],
  "all_tools": {
    "limits": []
  },
  "tools": {
    "b": {},
    "a": {
      "action": "require_approval",
      "reason": "r",
      "require": [
        "args.z",
        {
          "conditions": [
            {
              "path": "args.n",
              "op": "in",
              "value": [
                9007199254740993
              ],
              "as": "number"
            }
          ]
        }
      ],
      "deny_if": [
        {
          "name": "n",
          "path": "args.q",
          "op": "neq",
          "value": {
            "z": 1,
            "a": null
          },
          "on_deny": "no"
        },
        {
          "conditions": [],
          "on_deny": "no"
        }
      ],
      "require_approval": [
        {
          "message": "ask",
          "ttl_seconds": 60
        }
      ],
      "limits": [
        {
          "name": "n",
          "counter": "c",
          "window": "day",
          "max": 0.10,
          "scope": "server",
          "increment_from": "args.n",
          "as": "number",
          "on_deny": "x"
        }
      ],
      "rate_limit": {
        "max": 1.0e1,
        "window": 60
      }
    }
  }
}
"""


def _tree(document: str) -> Node:
    report = Report()
    root = read(document, report)
    assert root is not None
    assert not report
    return root


def test_text_puts_members_in_order_and_leaves_rules_tools_and_numbers_as_written() -> None:
    assert text(_tree(SHUFFLED)) == ORDERED


def test_text_of_canonical_text_is_the_same() -> None:
    assert text(_tree(ORDERED)) == ORDERED


def test_text_of_a_valid_policy_means_the_same() -> None:
    document = SHUFFLED.replace('"action": "require_approval", "reason": "r"', '"action": "allow"')
    again = text(_tree(document))
    assert again != document
    assert parse(again.encode()) == parse(document.encode())


def test_text_of_unknown_members_keeps_them_after_the_known_in_their_order() -> None:
    assert list(json.loads(text(_tree('{"z": 1, "tools": {}, "b": {"path": 1, "b": 2, "a": 3}}')))) == [
        "tools",
        "z",
        "b",
    ]
    assert text(_tree('{"q": {"value": 1, "path": 2}}')) == '{\n  "q": {\n    "value": 1,\n    "path": 2\n  }\n}\n'


def test_text_of_a_plain_value_is_that_of_its_tree() -> None:
    assert text({"version": "1", "n": Number("1e0", Decimal(1))}) == text(_tree('{"n": 1e0, "version": "1"}'))


def test_text_escapes_what_does_not_print_and_keeps_letters_of_any_language() -> None:
    hostile = 'é漢"\\\n\u202e\U000e0001\x7f'
    written = text(hostile)
    assert written == '"é漢\\"\\\\\\n\\u202e\\udb40\\udc01\\u007f"\n'
    assert json.loads(written) == hostile


def test_text_of_the_deepest_document_is_written() -> None:
    deepest = '{"a":' * MAX_DEPTH + "true" + "}" * MAX_DEPTH
    assert json.loads(text(_tree(deepest))) == json.loads(deepest)


@pytest.mark.parametrize("value", [None, True, False, "", [], {}])
def test_text_of_a_leaf_is_json(value: Any) -> None:
    assert text(value) == json.dumps(value) + "\n"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["tools", "value"]), inner),
        max_leaves=20,
    )
)
def test_text_of_any_document_reads_back_as_the_same_value(value: Any) -> None:
    assert json.loads(text(_tree(json.dumps(value)))) == value
