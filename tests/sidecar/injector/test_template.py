"""A template says at once what it lacks."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.errors import SettingsError
from sidecar.injector.template import Template
from tests.sidecar.injector.objects import SIDECAR, TEMPLATE


def test_read_is_the_container_restarting_always_with_its_port(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.yaml"
    path.write_text(yaml.safe_dump(SIDECAR))
    assert Template.read(path) == TEMPLATE
    assert TEMPLATE.container == {**SIDECAR["container"], "restartPolicy": "Always"}
    assert TEMPLATE.port == 8700


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"container: [", "sidecar.yaml:1:13 is not YAML."),
        (b"container: \x00", "sidecar.yaml is not YAML."),
        (b"\xff", "cannot be read"),
        (b"", "needs container and volumes"),
        (b"- container", "needs container and volumes"),
    ],
)
def test_read_what_is_no_template_names_the_file(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "sidecar.yaml"
    path.write_bytes(text)
    with pytest.raises(SettingsError) as raised:
        Template.read(path)
    assert said in str(raised.value)
    assert "sidecar.yaml" in str(raised.value)


def test_read_of_no_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read"):
        Template.read(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("way", "value", "said"),
    [
        (("container", "name"), "proxy", "its name must be regate"),
        (("container", "image"), None, "needs an image"),
        (("container", "ports"), [], "needs a port regate"),
        (("container", "ports"), None, "needs a port regate"),
        (("container", "ports"), [{"name": "regate", "containerPort": "8700"}], "needs a port regate"),
        (("volumes",), {}, "must be a list"),
        (("volumes",), [{"name": "config"}], "must begin with regate-"),
    ],
)
def test_made_of_something_lacking_says_what(way: tuple[str, ...], value: Any, said: str) -> None:
    document = deepcopy(SIDECAR)
    inner: Any = document
    for step in way[:-1]:
        inner = inner[step]
    inner[way[-1]] = value
    with pytest.raises(SettingsError, match=said):
        Template.made(document, "sidecar.yaml")


def test_volumes_for_a_pod_are_made_from_what_its_annotations_name() -> None:
    volumes = TEMPLATE.volumes_for({"regate.dev/config": "mine", "regate.dev/secret": "hidden", "other": "x"})
    assert volumes == [
        {"name": "regate-config", "configMap": {"name": "mine"}},
        {"name": "regate-secret", "secret": {"secretName": "hidden", "optional": True}},
        {"name": "regate-state", "emptyDir": {}},
    ]
    assert TEMPLATE.volumes_for({}) == SIDECAR["volumes"]
