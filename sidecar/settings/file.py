"""`regate.yaml`, the environment and the command line → `Settings`, with every problem at once.

No problem shows a value that was set, for it may be a secret.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sidecar.errors import SettingsError
from sidecar.settings.auth import OAuth
from sidecar.settings.conflicts import Problem, Way, conflicts, near
from sidecar.settings.grants import TokenGrant
from sidecar.settings.model import Children, Policy, Server, Settings
from sidecar.settings.serving import Drain, Tls
from sidecar.settings.shared import Redis, unshared
from sidecar.settings.sources import Bundle, Opa, PolicyDir

if TYPE_CHECKING:
    from sidecar.yamltree import Tree

_FILE_BYTES = 1024 * 1024
_PARTS: dict[str, type[BaseModel]] = {
    "servers": Server,
    "policies": Policy,
    "grants": TokenGrant,
    "opa": Opa,
    "children": Children,
    "oauth": OAuth,
    "tls": Tls,
    "drain": Drain,
    "redis": Redis,
    "policy_dir": PolicyDir,
    "bundle": Bundle,
}

ENVIRONMENT = {
    f"REGATE_{name.upper()}": name
    for name in Settings.model_fields
    if not name.startswith("allowed_") and name not in (*_PARTS, "metrics_token")
}
"""Variables that take the place of a setting in the file."""

_MESSAGES = {
    "missing": ("is required", ""),
    "string_type": ("must be text", "put it in quotes"),
    "path_type": ("must be a path", ""),
    "tuple_type": ("must be a list", "for example [npx, -y, some-server]"),
    "dict_type": ("must be a mapping", "name: value"),
    "model_type": ("must be a mapping", "name: value"),
    "model_attributes_type": ("must be a mapping", "name: value"),
    "string_too_short": ("must not be empty", ""),
    "too_short": ("must not be empty", ""),
    "bool_type": ("must be true or false", ""),
    "bool_parsing": ("must be true or false", ""),
    "int_type": ("must be a whole number", ""),
    "int_parsing": ("must be a whole number", ""),
    "int_from_float": ("must be a whole number", ""),
    "float_type": ("must be a number", ""),
    "float_parsing": ("must be a number", ""),
}
_BOUNDS = {
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than_equal": "must be {le:g} or less",
}


class SettingsRejected(SettingsError):
    """Settings with mistakes in them: `problems` holds one line for each, `str()` all of them."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Override:
    """A top-level setting from outside the file; `label` is what the operator calls it (`--listen`)."""

    name: str
    value: Any
    label: str


def load(path: Path, overrides: Sequence[Override] = (), environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a YAML file; the environment outranks the file, and `overrides` outrank both.

    Relative paths in the file are relative to it; those from elsewhere, to the current folder.
    Raises: SettingsRejected with every problem.
    """
    from sidecar.yamltree import read  # where no file is read, YAML need not be loaded: a tenth of a second

    outside = [*_from_environment(environ), *overrides]
    tree = read(_text(path))
    where = _Where(_labels(outside), path, tree)
    faults = [f"{path}:{f.line}:{f.column}: {_dotted(f.path)}{f.message}" for f in tree.faults]
    if not isinstance(tree.value, dict):
        raise SettingsRejected(faults or [f"{path}: must be a mapping (see `regate serve --help` for an example)"])
    given = {name: value for name, value in tree.value.items() if value is not None}
    return _validated(given, outside, path.parent, where, faults)


def build(
    given: Mapping[str, Any],
    overrides: Sequence[Override] = (),
    *,
    labels: Mapping[Way, str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings in `given`; the environment outranks it, and `overrides` outrank both.

    `labels` names parts of it as the operator knows them (`{("servers", "git", "url"): "--upstream"}`).
    Raises: SettingsRejected with every problem.
    """
    outside = [*_from_environment(environ), *overrides]
    return _validated(dict(given), outside, Path(), _Where({**(labels or {}), **_labels(outside)}), [])


def _validated(
    given: dict[str, Any], outside: Sequence[Override], base: Path, where: "_Where", faults: list[str]
) -> Settings:
    for override in outside:
        given[override.name] = _from_here(override)
    problems = [*conflicts(given), *unshared(given)]
    settings = None
    try:
        settings = Settings.model_validate(given, context={"base": base})
    except ValidationError as error:
        problems += _told(error.errors(include_url=False, include_input=False))
    if settings is not None and not settings.auth and not settings.is_local:
        problems.append(Problem(("auth",), "can be off on a loopback address only", "listen on 127.0.0.1"))
    if problems or faults or settings is None:
        problems.sort(key=where.place)
        raise SettingsRejected([*faults, *dict.fromkeys(where.line(problem) for problem in problems)])
    return settings


def _from_here(override: Override) -> Any:
    """A path from outside the file is relative to the current folder, and not to the file."""
    if override.name not in ("state", "ready_file") or not isinstance(override.value, str):
        return override.value
    return override.value if override.value.startswith("~") else str(Path(override.value).absolute())


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsRejected([f"{path}: cannot be read: {(error.strerror or 'failed').lower()}"]) from error
    if len(data) > _FILE_BYTES:
        raise SettingsRejected([f"{path}: larger than 1 MiB"])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SettingsRejected([f"{path}: not UTF-8 text"]) from error


def _from_environment(environ: Mapping[str, str]) -> Iterator[Override]:
    for variable, name in ENVIRONMENT.items():
        if environ.get(variable):
            yield Override(name, environ[variable], variable)


def _told(found: Sequence[ErrorDetails]) -> Iterator[Problem]:
    """A list whose one item is wrong counts as empty too; that is not told."""
    holders = {details["loc"][:length] for details in found for length in range(len(details["loc"]))}
    for details in found:
        if details["type"] != "too_short" or details["loc"] not in holders:
            yield _worded(details)


def _worded(details: ErrorDetails) -> Problem:
    kind, context = details["type"], details.get("ctx", {})
    way: Way = details["loc"]
    if way[-1:] == ("[key]",):
        return Problem(way[:-1], "a name may hold letters, digits, _ and - only, and at most 64 of them")
    if kind == "extra_forbidden":
        return Problem(way, "unknown setting", near(str(way[-1]), _names(way)))
    if kind in _MESSAGES:
        return Problem(way, *_MESSAGES[kind])
    if kind in _BOUNDS:
        return Problem(way, _BOUNDS[kind].format(**context))
    if kind == "literal_error":
        return Problem(way, f"must be {context['expected']}")
    if kind == "value_error":
        return Problem(way, str(context["error"]))
    return Problem(way, "is not what belongs here")


def _names(way: Way) -> list[str]:
    return list((_PARTS.get(str(way[0]), Settings) if len(way) > 1 else Settings).model_fields)


def _labels(outside: Sequence[Override]) -> dict[Way, str]:
    return {(override.name,): override.label for override in outside}


def _dotted(way: Way) -> str:
    return ".".join(str(step) for step in way) + ": " if way else ""


@dataclass(frozen=True, slots=True)
class _Where:
    """Words a problem the way the operator will look for it: a label, or a name with its place in the file."""

    labels: Mapping[Way, str]
    path: Path | None = None
    tree: "Tree | None" = None

    def line(self, problem: Problem) -> str:
        hint = f" ({problem.hint})" if problem.hint else ""
        return f"{self._name(problem.way)}{problem.message}{hint}"

    def place(self, problem: Problem) -> tuple[int, int]:
        return self.tree.place(problem.way) if self.tree is not None else (0, 0)

    def _name(self, way: Way) -> str:
        for length in range(len(way), 0, -1):
            if way[:length] in self.labels:
                return f"{self.labels[way[:length]]}: "
        if self.tree is None:
            return _dotted(way)
        line, column = self.tree.place(way)
        return f"{self.path}:{line}:{column}: {_dotted(way)}"
