"""The sidecar that is put into pods: its container and volumes, as the operator wrote them. Knows no pod."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sidecar.errors import SettingsError

NAME = "regate"
"""The name of the container and of its port; volumes that are ours begin with it and a hyphen."""

_OVERRIDES = {
    "regate.dev/config": ("regate-config", "configMap", "name"),
    "regate.dev/policies": ("regate-policies", "configMap", "name"),
    "regate.dev/secret": ("regate-secret", "secret", "secretName"),
}
"""Annotations of a pod that name what a volume is made from."""


@dataclass(frozen=True, slots=True)
class Template:
    """One container that restarts always, begun before all others, and the volumes it mounts."""

    container: Mapping[str, Any]
    volumes: tuple[Mapping[str, Any], ...]
    port: int

    @classmethod
    def read(cls, path: Path) -> Self:
        """A YAML file with `container` and `volumes`, each in Kubernetes' own words. Raises: SettingsError."""
        import yaml

        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path} cannot be read.", hint="Name a file with a container and volumes.") from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
            raise SettingsError(f"{path}{place} is not YAML.") from error
        return cls.made(document, str(path))

    @classmethod
    def made(cls, document: Any, where: str) -> Self:
        """The template in a document. Raises: SettingsError (what is missing, by its place)."""

        def wanted(found: bool, what: str) -> None:
            if not found:
                raise SettingsError(f"{where}: {what}.", hint="See deploy/kustomize/injector/sidecar.yaml for one.")

        wanted(isinstance(document, dict) and set(document) == {"container", "volumes"}, "needs container and volumes")
        container, volumes = document["container"], document["volumes"]
        wanted(isinstance(container, dict) and container.get("name") == NAME, f"container: its name must be {NAME}")
        wanted(isinstance(container.get("image"), str), "container: needs an image")
        wanted(isinstance(volumes, list) and all(isinstance(one, dict) for one in volumes), "volumes: must be a list")
        ours = [one for one in volumes if str(one.get("name", "")).startswith(f"{NAME}-")]
        wanted(len(ours) == len(volumes), f"volumes: each name must begin with {NAME}-")
        ports = container.get("ports")
        named = [one for one in ports if one.get("name") == NAME] if isinstance(ports, list) else []
        wanted(len(named) == 1 and isinstance(named[0].get("containerPort"), int), f"container: needs a port {NAME}")
        return cls({**container, "restartPolicy": "Always"}, tuple(volumes), named[0]["containerPort"])

    def volumes_for(self, annotations: Mapping[str, str]) -> list[dict[str, Any]]:
        """The volumes of one pod, whose annotations may name other ConfigMaps and another Secret."""
        chosen = {
            volume: (kind, member, annotations[annotation])
            for annotation, (volume, kind, member) in _OVERRIDES.items()
            if annotation in annotations
        }
        made = []
        for volume in self.volumes:
            kind, member, name = chosen.get(volume["name"], ("", "", ""))
            made.append({**volume, kind: {**volume.get(kind, {}), member: name}} if kind else dict(volume))
        return made
