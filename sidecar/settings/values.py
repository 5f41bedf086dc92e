"""What settings are made of: names, paths, secrets. Reads a secret where one is named, and nothing else."""

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    model_validator,
)

from sidecar.errors import SettingsError

_HEADER_VALUE = re.compile(r"[\x20-\x7e\x80-\xff\t]+")


def is_loopback(host: str) -> bool:
    """Is this address reachable from this machine only?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_and_port(text: str) -> tuple[str, int]:
    """The host and port of HOST:PORT. Raises: ValueError."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address goes into brackets, as in [::1]:8700")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError("must be HOST:PORT, such as 127.0.0.1:8700")
    return host, int(port)


class Model(BaseModel):
    """A mapping that says what may be in it, and whose mistakes are told without what was given."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def expanded(path: Path) -> Path:
    """The path with `~` replaced. Raises: ValueError when there is no such home folder, or it is no path at all."""
    if "\0" in str(path):
        raise ValueError("must be a path")
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError("begins with a home folder that does not exist") from error


def _locate(path: Path, info: ValidationInfo) -> Path:
    return Path((info.context or {}).get("base", "")) / expanded(path)


Located = Annotated[Path, AfterValidator(_locate)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
Word = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]*$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[^=\x00]+$")]
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]


class Secret(Model):
    """A value that is not to be seen: written out, or named by an environment variable or a file."""

    value: SecretStr | None = None
    env: Word | None = Field(default=None, description="The environment variable that holds it.")
    file: Located | None = Field(default=None, description="The file that holds it; white space at its end is dropped.")

    @model_validator(mode="before")
    @classmethod
    def _one_source(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"value": given}
        if isinstance(given, Mapping) and sum(given.get(name) is not None for name in ("value", "env", "file")) == 1:
            return given
        raise ValueError("must be text, or one of env: NAME and file: PATH")

    def read(self, environ: Mapping[str, str] = os.environ) -> str:
        """The secret itself. Raises: SettingsError when its variable or file is missing, or it cannot be a header."""
        if self.value is not None:
            text, where = self.value.get_secret_value(), "the value given"
        elif self.env is not None:
            text, where = environ.get(self.env, ""), f"environment variable {self.env}"
        else:
            text, where = _file_text(self.file), f"file {self.file}"
        if not text:
            raise SettingsError(f"A secret is missing: {where} is unset or empty.")
        if _HEADER_VALUE.fullmatch(text) is None:
            raise SettingsError(f"A secret cannot be sent: {where} holds a line break or a character outside Latin-1.")
        return text


def _file_text(path: Path | None) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip() if path else ""
    except (OSError, ValueError) as error:
        raise SettingsError(f"A secret cannot be read from {path}: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    return "not UTF-8 text"
