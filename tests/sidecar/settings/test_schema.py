from typing import Any

import jsonschema
import pytest
import yaml

from scripts import reference
from sidecar.settings.model import Settings
from sidecar.settings.schema import schema

VALIDATOR = jsonschema.Draft202012Validator(schema())
SERVER = {"command": ["x"]}


def _with(**members: Any) -> dict[str, Any]:
    return {"servers": {"s": SERVER}, **members}


def test_schema_is_one_of_its_draft_and_takes_the_example_of_the_documents() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    example = yaml.safe_load(reference._EXAMPLE.removeprefix("```yaml\n").removesuffix("```"))
    assert [error.message for error in VALIDATOR.iter_errors(example)] == []
    Settings.model_validate(example)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"servers": {}},
        {"servers": {"s": {"command": "x"}}},
        {"servers": {"s": {"comand": ["x"]}}},
        {"servers": {"s": {"url": "https://x", "headers": {"A": {"env": "X", "file": "y"}}}}},
        {"servers": {"s": {"url": "https://x", "headers": {"A": {"value": "X"}}}}},
        _with(listen_port=70_000),
        _with(log_level="loud"),
        _with(policies={"p": {}}),
        _with(titel="x"),
        _with(opa={"timeout_s": 0}),
    ],
)
def test_schema_refuses_settings_that_are_wrong(settings: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(settings)


@pytest.mark.parametrize("header", ["text", {"env": "X"}, {"file": "x"}])
def test_schema_takes_every_form_of_a_secret(header: Any) -> None:
    assert VALIDATOR.is_valid({"servers": {"s": {"url": "https://x", "headers": {"A": header}}}})


def test_schema_describes_every_setting() -> None:
    made = schema()
    parts = [made, *made["$defs"].values(), made["$defs"]["Secret"]["anyOf"][1]]
    for part in parts:
        for name, member in part.get("properties", {}).items():
            target = made["$defs"].get(member.get("$ref", "").removeprefix("#/$defs/"), {})
            assert "description" in member or "description" in target, name
            assert "title" not in member
