"""The flags of `run` and `stdio` for a server in a container → a server's settings. Only `check` asks Docker."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from sidecar.cli.terminal import refuse

ImageOption = Annotated[
    str | None,
    typer.Option("--image", metavar="IMAGE", help="Start the server in a container of this image, by Docker."),
]
NetworkOption = Annotated[
    str | None,
    typer.Option("--network", metavar="NAME", help="The network of the container.  [default: none]"),
]
MountOption = Annotated[
    list[str] | None,
    typer.Option("--mount", metavar="FOLDER:/PLACE[:rw]", help="Folder or volume for the container. May be repeated."),
]
UserOption = Annotated[
    str | None,
    typer.Option("--user", metavar="USER", help="User in the container.  [default: the image's, but never root]"),
]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class ImageFlags:
    """What was said of a container on the command line."""

    image: str | None = None
    network: str | None = None
    mounts: Sequence[str] = ()
    user: str | None = None

    def server(self, command: Sequence[str], env: Sequence[str]) -> dict[str, Any]:
        """The settings of the server."""
        return {
            "image": self.image,
            "command": list(command) or None,
            "env": dict(_variable(text, os.environ) for text in env),
            "container": {
                name: value
                for name, value in (("network", self.network), ("mounts", list(self.mounts)), ("user", self.user))
                if value
            },
        }

    def arguments(self) -> list[str]:
        """The same flags, good in any folder."""
        options = []
        for option, value in (("--image", self.image), ("--network", self.network), ("--user", self.user)):
            options += [option, value] if value else []
        for mount in self.mounts:
            source, colon, rest = mount.partition(":")
            is_path = "/" in source or source in (".", "..", "~")
            options += ["--mount", f"{Path(source).expanduser().absolute() if is_path else source}{colon}{rest}"]
        return options

    def refuse_alone(self) -> None:
        """Raises: Usage where something is said of a container, and there is none."""
        for option, value in (("--network", self.network), ("--mount", self.mounts), ("--user", self.user)):
            if value:
                refuse(f"{option} is for --image")

    def check(self) -> None:
        """Raises: SidecarError where there is no Docker, or no such image."""
        if self.image is not None:
            from sidecar.upstream import dockerd

            dockerd.require_package()
            dockerd.Daemon().check(self.image)


def _variable(text: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """A variable with its value, or with the one that it has here, which then shows in no list of processes."""
    name, sign, value = text.partition("=")
    if _VARIABLE.fullmatch(name) is None or "\0" in value:
        refuse("--env: must be NAME=VALUE, or NAME to take it from here")
    if not sign:
        if name not in environ:
            refuse(f"--env {name}: there is no such variable here")
        value = environ[name]
    return name, value
