"""What charts and overlays are made from, read without helm or kustomize: a first look that every machine can take."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import translator
from sidecar.settings import file as settings_file
from tests.deploy.objects import DEPLOY

CHART = DEPLOY / "helm" / "regate"
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
OVERLAYS = sorted((DEPLOY / "kustomize" / "overlays").iterdir())
KUSTOMIZE = sorted(
    path for room in ("base", "components", "overlays") for path in (DEPLOY / "kustomize" / room).rglob("*.yaml")
)
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def _merged(base: Any, over: Any) -> Any:
    """As Helm lays one file of values over another."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return {**base, **{name: _merged(base.get(name), value) for name, value in over.items()}}


def _values(path: Path) -> Any:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return _merged(defaults, yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.name)
def test_values_are_of_the_schema(path: Path) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(_values(path))


def test_schema_refuses_a_value_and_a_setting_that_nobody_knows() -> None:
    known = _values(VALUES[0])
    for unknown in ({"replica": 2}, {"settings": {"listen_prot": 1}}, {"image": {"tags": "1"}}):
        assert list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(_merged(known, unknown)))


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.name)
def test_values_hold_policies_that_can_be_used(path: Path) -> None:
    files = _values(path)["policyFiles"]
    policies = {name: text.encode() for name, text in files.items() if name.endswith(".json")}
    translator.translate(policies)


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda path: path.name)
def test_overlay_is_made_of_files_that_are_there(folder: Path) -> None:
    made = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    named = [
        *made["resources"],
        *made.get("components", ()),
        *(p["path"] for p in made.get("patches", ()) if "path" in p),
    ]
    named += [file for entry in made.get("configMapGenerator", ()) for file in entry["files"]]
    assert [name for name in named if not (folder / name).exists()] == []


@pytest.mark.parametrize(
    "path", sorted((DEPLOY / "kustomize" / "overlays").glob("*/regate.yaml")), ids=lambda p: p.parent.name
)
def test_settings_of_an_overlay_are_loaded(path: Path) -> None:
    assert settings_file.load(path, environ={}).listen_port == 8700


@pytest.mark.parametrize("path", KUSTOMIZE, ids=lambda path: path.relative_to(DEPLOY).as_posix())
def test_file_is_one_yaml_document(path: Path) -> None:
    """One object in each file, so that a file is found by what it holds."""
    assert len(list(yaml.safe_load_all(path.read_text(encoding="utf-8")))) == 1
