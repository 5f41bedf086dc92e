"""The house rules: directions of import, a pure core, tests beside modules, documents in step with the program."""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pydantic
import pytest
import typer.main

from sidecar.cli import application
from sidecar.settings import model as settings

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ("sidecar", "translator", "rego")
MODULES = sorted(path.relative_to(ROOT) for folder in SOURCE for path in (ROOT / folder).rglob("*.py"))
DOCUMENTS = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").rglob("*.md")))

ADAPTER = {"errors", "core", "ports", "database", "redis", "http1", "fetch"}
ROOMS: Mapping[str, set[str]] = {
    "errors": set(),
    "core": {"errors"},
    "ports": {"core"},
    "http1": {"errors"},
    "path": {"errors", "core", "ports"},
    "downstream": {"errors", "core", "ports", "path"},
    **{room: ADAPTER for room in ("opa", "counters", "approvals", "grants", "audit", "upstream")},
    "database": {"errors", "faults", "presence", "schema", "writeahead"},
    "writeahead": {"errors", "presence", "schema"},
    "schema": {"errors", "faults"},
    "settings": {"errors", "algorithms", "yamltree"},
    "algorithms": set(),
    "fetch": {"errors"},
    "checkup": {"statedir"},
    "tally": {"core", "ports"},
    "metrics": {"health", "tally"},
    "redis": {"errors"},
    "stores": {*ADAPTER, "approvals", "counters", "grants", "states", "settings"},
    "upstreams": {"settings", "errors", "ports", "upstream"},
    "bearers": {"settings", "errors", "ports", "fetch", "grants", "downstream"},
    "policyfolder": {"errors"},
    "policies": {"settings", "health", "errors", "policyfolder", "translator"},
    "delivery": {"settings", "sources"},
    "shelf": {"sources"},
    "sources": {*ADAPTER, "health", "signing", "statedir", "translator"},
    "reload": {"errors", "translator"},
    "injector": {"errors", "downstream", "statedir"},
    "proving": {"errors", "core", "ports", "database", "http1", "opa", "counters", "path", "translator"},
}
"""What each room of `sidecar` may import besides itself; one that is not named here, what an adapter may."""
EVERYTHING = {"deciding", "engine", "reports", "wiring", "cli", "__main__"}

TRANSLATOR_CALLERS = {
    "sidecar/reload.py",
    "sidecar/policies.py",
    "sidecar/sources/accepted.py",
    "sidecar/sources/archive.py",
    "sidecar/cli/gateway.py",
    "sidecar/cli/check.py",
    "sidecar/cli/annotations.py",
    "sidecar/cli/sarif.py",
    "sidecar/cli/fmt.py",
    "sidecar/cli/init.py",
    "sidecar/cli/schema.py",
    "sidecar/cli/build.py",
    "sidecar/cli/patterns.py",
    "sidecar/cli/diff.py",
    "sidecar/cli/explain.py",
    "sidecar/cli/explanations.py",
    "sidecar/cli/coverage.py",
    "sidecar/cli/findings.py",
    "sidecar/cli/importing.py",
    "sidecar/cli/inventories.py",
    "sidecar/cli/made.py",
    "sidecar/cli/merging.py",
    *(path.as_posix() for path in MODULES if path.parts[:2] == ("sidecar", "proving")),
}
PURE_PACKAGES = {"msgspec", "re2", "httptools", "cryptography"}
IMPURE_MODULES = {
    *("asyncio", "logging", "os", "pathlib", "random", "secrets", "select", "selectors", "signal", "socket", "ssl"),
    *("sqlite3", "subprocess", "sys", "tempfile", "threading", "time", "urllib.request", "uuid"),
}
ONLY_IN: Mapping[str, set[str]] = {
    "sqlite3": {"sidecar/database.py", "sidecar/writeahead.py"},
    "mcp_types": {"sidecar/core/era.py"},
    "redis": {"sidecar/redis.py"},
    "jwt": {"sidecar/grants/keys.py", "sidecar/grants/jwt.py", "sidecar/signing.py", "sidecar/sources/signatures.py"},
}

LONG: Mapping[str, str] = {}
"""Source files of more than 300 lines, each with the reason why it is one noun."""
TESTED_ELSEWHERE: Mapping[str, str] = {
    "sidecar/errors.py": "values only; every test that refuses something reads them",
    "sidecar/algorithms.py": "names only; tests/sidecar/test_signing.py signs with each",
    "sidecar/downstream/bounds.py": "values only; tests/sidecar/downstream/test_connection.py holds each",
    "sidecar/ports.py": "Protocols and values; tests/contract has a suite for each",
    "sidecar/engine.py": "it only joins parts; tests/eras, tests/faults and tests/sidecar/cli run it whole",
    "sidecar/reports.py": "as engine",
    "sidecar/wiring.py": "as engine",
    "sidecar/injector/running.py": "it only joins parts; tests/sidecar/cli/test_injector.py runs it whole",
    "sidecar/upstream/peer.py": "it is half of a child and of a container; test_child and test_container try both",
    "sidecar/upstream/wire.py": "Protocols and a value; test_child and test_sse have a suite for each way",
}
"""Modules without a test file of their own name, each with where it is tested."""


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _room(module: str) -> str | None:
    """The room of `sidecar` a dotted name is in, `translator` for the translator, or None for what is not ours."""
    parts = module.split(".")
    if parts[0] == "translator":
        return "translator"
    return parts[1] if parts[0] == "sidecar" and len(parts) > 1 else None


def _rooms_of_sidecar() -> set[str]:
    return {path.stem for path in (ROOT / "sidecar").iterdir() if path.suffix == ".py" or path.is_dir()}


@pytest.mark.parametrize("path", [p for p in MODULES if p.parts[0] == "sidecar"], ids=str)
def test_import_in_sidecar_points_one_way(path: Path) -> None:
    own = path.parts[1].removesuffix(".py")
    if own in EVERYTHING:
        return
    known = _rooms_of_sidecar() | {"translator"}
    imported = {room for name in _imports(path) if (room := _room(name)) in known}
    assert imported - {own} <= ROOMS.get(own, ADAPTER), f"{path} imports what its room may not"


@pytest.mark.parametrize("path", [p for p in MODULES if p.parts[0] in ("translator", "rego")], ids=str)
def test_import_in_translator_stays_inside(path: Path) -> None:
    allowed = {"translator": {"translator", "rego"}, "rego": {"rego"}}[path.parts[0]]
    imported = {name.split(".")[0] for name in _imports(path)} & set(SOURCE)
    assert imported <= allowed


def test_import_of_translator_comes_from_its_callers_only() -> None:
    callers = {
        path.as_posix()
        for path in MODULES
        if path.parts[0] == "sidecar" and any(_room(name) == "translator" for name in _imports(path))
    }
    assert callers <= TRANSLATOR_CALLERS


@pytest.mark.parametrize("path", [p for p in MODULES if p.parts[:2] == ("sidecar", "core")], ids=str)
def test_core_module_is_pure(path: Path) -> None:
    names = set(_imports(path))
    packages = {name.split(".")[0] for name in names}
    foreign = packages - set(sys.stdlib_module_names) - {"sidecar"} - PURE_PACKAGES - {"mcp_types", "mcp"}
    assert not foreign, f"{path} imports {foreign}"
    assert not (packages | names) & IMPURE_MODULES
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    asynchronous = [n for n in ast.walk(tree) if isinstance(n, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor)]
    clocks = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in ("now", "utcnow", "today")]
    assert not asynchronous
    assert not clocks


@pytest.mark.parametrize("package", ONLY_IN)
def test_package_is_imported_in_one_place(package: str) -> None:
    importers = {p.as_posix() for p in MODULES if any(name.split(".")[0] == package for name in _imports(p))}
    assert importers <= ONLY_IN[package]


def test_module_has_a_test_file() -> None:
    missing = {
        path.as_posix()
        for path in MODULES
        if not path.stem.startswith("__") and not (ROOT / "tests" / path.parent / f"test_{path.stem}.py").exists()
    }
    assert missing == set(TESTED_ELSEWHERE)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_module_begins_with_a_docstring(path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text))


def test_source_file_over_300_lines_has_a_reason() -> None:
    folders = (*SOURCE, "bench", "examples", "scripts")
    files = [path for folder in folders for kind in ("*.py", "*.rego") for path in (ROOT / folder).rglob(kind)]
    long = {
        path.relative_to(ROOT).as_posix() for path in files if len(path.read_text(encoding="utf-8").splitlines()) > 300
    }
    assert long == set(LONG)


def _commands(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
    else:
        for name, one in inner.items():
            yield from _commands(one, f"{words} {name}")


COMMANDS = dict(_commands(typer.main.get_command(application()), "regate"))


@pytest.mark.parametrize("words", COMMANDS)
def test_command_is_documented_with_every_option(words: str) -> None:
    assert f"`{words}" in DOCUMENTS
    options = {name for parameter in COMMANDS[words].params for name in parameter.opts if name.startswith("--")}
    assert not {name for name in options - {"--help"} if name not in DOCUMENTS}


def _settings(model: type[pydantic.BaseModel], seen: set[type]) -> Iterator[str]:
    seen.add(model)
    for name, field in model.model_fields.items():
        yield field.alias or name
        for inner in _models(field.annotation):
            if inner not in seen:
                yield from _settings(inner, seen)


def _models(annotation: object) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)


@pytest.mark.parametrize("name", sorted(set(_settings(settings.Settings, set()))))
def test_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in DOCUMENTS


def test_tree_names_no_place_of_one_machine() -> None:
    places = re.compile(r"/(?:wor[k]|roo[t]|far[m])/|/tmp/[a-z]|[.]shared/")
    skipped = {"__pycache__", "catalogue", "build", "dist"}
    found = []
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in parts)
        if path.is_file() and not hidden and not skipped & set(parts):
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in places.finditer(text)]
    assert not found


def test_lock_file_names_no_address() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text
        assert "--hash=sha256:" in text
