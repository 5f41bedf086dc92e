"""Kubernetes objects as they were rendered, and what of them is the gateway's. No test is here."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "manifests").glob("*.yaml"))

Object = dict[str, Any]


@dataclass(frozen=True)
class Objects:
    """All objects of one rendering."""

    all: tuple[Object, ...]

    def of(self, kind: str) -> list[Object]:
        return [one for one in self.all if one["kind"] == kind]

    def one(self, kind: str) -> Object:
        (found,) = self.of(kind)
        return found

    @property
    def pod(self) -> Object:
        return dict(self.one("Deployment")["spec"]["template"])

    @property
    def gateway(self) -> Object:
        return next(container for container in containers(self.pod["spec"]) if container["name"] == "regate")

    def data(self, name: str) -> dict[str, str]:
        """What is in the ConfigMap that a volume refers to by this name."""
        return next(dict(one["data"]) for one in self.of("ConfigMap") if one["metadata"]["name"] == name)

    def files(self, volume: str) -> dict[str, tuple[str, str, str]]:
        """Path in the volume → kind of source, its name and its key."""
        sources = next(v for v in self.pod["spec"]["volumes"] if v["name"] == volume)["projected"]["sources"]
        return {
            item["path"]: (kind, source["name"], item["key"])
            for entry in sources
            for kind, source in entry.items()
            for item in source["items"]
        }


def objects(text: str) -> Objects:
    return Objects(tuple(one for one in yaml.safe_load_all(text) if one))


def containers(spec: Object) -> Iterator[Object]:
    """Init containers first: a native sidecar is one of them."""
    yield from spec.get("initContainers", ())
    yield from spec["containers"]
