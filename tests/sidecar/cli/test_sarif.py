"""Source: SARIF 2.1.0 (OASIS), sections 3.13 to 3.30."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sidecar.cli import sarif
from translator.errors import Problem
from translator.lint.codes import LINTS

TEXT = {
    "type": "object",
    "required": ["text"],
    "additionalProperties": False,
    "properties": {"text": {"type": "string"}},
}
LEVEL = {"enum": ["none", "note", "warning", "error"]}


def _closed(**properties: Any) -> dict[str, Any]:
    required = [name for name in properties if name not in ("$schema", "logicalLocations")]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


POSITIVE = {"type": "integer", "minimum": 1}
LOCATION = _closed(
    physicalLocation=_closed(
        artifactLocation=_closed(uri={"type": "string", "format": "uri-reference"}),
        region=_closed(startLine=POSITIVE, startColumn=POSITIVE),
    ),
    logicalLocations=_array(_closed(fullyQualifiedName={"type": "string"})),
)
RULE = _closed(id={"type": "string"}, shortDescription=TEXT, defaultConfiguration=_closed(level=LEVEL))
RESULT = _closed(
    ruleId={"type": "string"},
    ruleIndex={"type": "integer", "minimum": 0},
    level=LEVEL,
    message=TEXT,
    locations=_array(LOCATION),
)
DRIVER = _closed(name={"const": "regate"}, version={"type": "string"}, rules=_array(RULE))
RUN = _closed(tool=_closed(driver=DRIVER), columnKind={"enum": ["unicodeCodePoints"]}, results=_array(RESULT))
LOG = _closed(**{"$schema": {"type": "string"}, "version": {"const": "2.1.0"}, "runs": _array(RUN)})
"""The members of the official schema that are used here, and no others."""


def _log(*found: tuple[Path, Problem]) -> Any:
    return sarif.log(found, tuple(LINTS.values()))


def test_log_has_the_shape_of_sarif_and_points_at_its_rules() -> None:
    log = _log(
        (Path("a b/p.json"), Problem("p", "", 1, 1, "no JSON")),
        (Path("p.json"), Problem("p", "/hide/0", 2, 7, "odd", "fix it", "glob_name", "warning")),
    )
    jsonschema.Draft202012Validator(LOG).validate(log)
    run = log["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [rules[each["ruleIndex"]]["id"] for each in run["results"]] == ["invalid_policy", "glob_name"]
    assert [each["level"] for each in run["results"]] == ["error", "warning"]
    assert run["results"][1]["message"]["text"] == "odd. Hint: fix it"
    assert run["results"][1]["locations"][0]["logicalLocations"] == [{"fullyQualifiedName": "/hide/0"}]
    assert "logicalLocations" not in run["results"][0]["locations"][0]


@pytest.mark.parametrize(
    ("path", "uri"),
    [("a b/p#1.json", "a%20b/p%231.json"), ("/x/p.json", "file:///x/p.json"), ("../ö.json", "../%C3%B6.json")],
)
def test_log_names_files_by_uri(path: str, uri: str) -> None:
    (result,) = _log((Path(path), Problem("p", "", 1, 1, "odd")))["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": uri}


def test_log_escapes_what_would_be_a_placeholder_a_link_or_steer_a_terminal() -> None:
    (result,) = _log((Path("p"), Problem("p", "", 1, 1, '"{0}" [a](b) [c] \x1b')))["runs"][0]["results"]
    assert result["message"]["text"] == '"{{0}}" [a\\](b) [c] \\u001b'
