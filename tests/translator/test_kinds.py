"""Source: policy-semantics, section 5."""

import json
from typing import Any

from translator.kinds import key, kind_of
from translator.program import Json
from translator.report import Report
from translator.source import read
from translator.tree import plain


def _json(value: Any) -> Json:
    node = read(json.dumps({"v": value}), Report())
    assert node is not None
    made = plain(node)
    assert isinstance(made, dict)
    return made["v"]


def test_key_is_the_same_exactly_for_equal_values() -> None:
    assert key(_json({"a": [1, None], "b": "x"})) == key(_json({"b": "x", "a": [1.0, None]}))
    assert key(_json(1)) != key(_json(True))
    assert key(_json("1")) != key(_json(1))
    assert kind_of(None) is None
