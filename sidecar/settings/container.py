"""What an operator may set of a server that runs in a container. Values only; no Docker is asked here."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, model_validator

from sidecar.settings.values import Model, Word, expanded

ImageName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}$")]
_VOLUME = r"^(/[^\x00]*|[A-Za-z0-9][A-Za-z0-9_.-]*)$"


def _inside(target: str) -> str:
    if not target.startswith("/") or target.strip("/") == "" or ".." in target.split("/"):
        raise ValueError("a mount's place in the container begins with / and is not / itself")
    return target


class Mount(Model):
    """A folder of the machine's, or a volume of Docker's, in the container. Written `FOLDER:/PLACE` or `…:rw`."""

    source: Annotated[str, StringConstraints(pattern=_VOLUME)] = Field(
        description="A folder (a path with a `/` in it, relative to the file) or the name of a volume."
    )
    target: Annotated[Word, AfterValidator(_inside)] = Field(description="Where the container sees it.")
    writable: bool = Field(default=False, description="Whether the server may write there.")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any, info: ValidationInfo) -> Any:
        if isinstance(given, str):
            parts = given.split(":")
            if len(parts) not in (2, 3) or parts[2:] not in ([], ["ro"], ["rw"]) or not parts[0]:
                raise ValueError("must be FOLDER:/PLACE, FOLDER:/PLACE:rw, or a volume's name instead of the folder")
            given = {"source": parts[0], "target": parts[1], "writable": parts[2:] == ["rw"]}
        source = given.get("source") if isinstance(given, dict) else None
        if isinstance(source, str) and (source in (".", "..", "~") or "/" in source):
            base = Path((info.context or {}).get("base", ""))
            return {**given, "source": str((base / expanded(Path(source))).absolute())}
        return given


class Container(Model):
    """How a server's container is run. The rest cannot be set: read-only root, no capabilities, no new privileges."""

    network: Word = Field(
        default="none", description="`none`, or the network it joins: `bridge`, or one made by `docker network create`."
    )
    mounts: tuple[Mount, ...] = Field(
        default=(), description="Folders and volumes it sees, as `FOLDER:/PLACE`; read-only unless `:rw` follows."
    )
    user: Word | None = Field(
        default=None, description="The user it runs as; by default the image's own, or 65532:65532 if that is root."
    )
    memory_mb: int = Field(default=512, ge=6, le=1 << 20, description="The memory it may use, without swap.")
    cpus: float = Field(default=1, ge=0.01, le=1024, description="The processors it may use.")
    pids: int = Field(default=256, ge=1, le=1 << 22, description="The processes and threads it may have.")
