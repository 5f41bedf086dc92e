import json
from collections.abc import Callable
from typing import Any

import jsonschema

Regate = Callable[..., Any]


def test_schema_of_a_policy_completes_and_checks_one(regate: Regate) -> None:
    done = regate("schema")
    made = json.loads(done.out)
    assert done.code == 0
    validator = jsonschema.Draft202012Validator(made)
    assert validator.is_valid({"$schema": "./policy.schema.json", "version": "1", "default": "deny"})
    assert not validator.is_valid({"version": "1", "default": "deny", "tool": {}})


def test_schema_of_the_settings_is_another(regate: Regate) -> None:
    made = json.loads(regate("schema", "--config").out)
    assert jsonschema.Draft202012Validator(made).is_valid({"servers": {"s": {"command": ["x"]}}})
    assert made["properties"]["listen_port"]["description"] == "The port to listen on; 0 takes any free one."
