"""Clients of others before the real gateway: each sees what its policy shows, calls what it allows, reads why not.

Source: mcp-gateway.md G26, G29, G31, G45, G46.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from examples import gateway
from tests import npm
from tests.eras.chatty import TOOLS, log, serving
from tests.eras.clients import compiled
from tests.eras.clients.foreign import Answer, Call, Client, Server, inspector, mcp_remote, node, program, python

pytestmark = pytest.mark.timeout(1800)

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
POLICY = """{"version": "1", "default": "allow", "hide": ["secret"],
 "tools": {"pay": {"deny_if": [{"path": "args.amount", "op": "gt", "value": 10, "on_deny": "Too much."}]}}}"""
LEGACY, MODERN = "2025-11-25", "2026-07-28"


@dataclass(frozen=True, slots=True)
class Tried:
    """A client, and the revision that it agrees on with the server, where it tells."""

    client: Client
    revision: str = ""


TRIED: Mapping[str, Tried] = {
    "python-sdk-legacy": Tried(python("python_sdk.py", "legacy"), LEGACY),
    "python-sdk-auto": Tried(python("python_sdk.py", "auto"), MODERN),
    "fastmcp-legacy": Tried(python("fastmcp_client.py", "legacy"), LEGACY),
    "fastmcp-auto": Tried(python("fastmcp_client.py", "auto"), MODERN),
    "typescript-sdk-v1": Tried(node("typescript_v1.mjs")),
    "typescript-sdk-v2-legacy": Tried(node("typescript_v2.mjs", "legacy"), LEGACY),
    "typescript-sdk-v2-auto": Tried(node("typescript_v2.mjs", "auto"), MODERN),
    "inspector-legacy": Tried(inspector("legacy")),
    "inspector-auto": Tried(inspector("auto")),
}
BRIDGED: Mapping[str, Tried] = {
    "mcp-remote-legacy": Tried(mcp_remote(python("python_sdk.py", "legacy")), LEGACY),
    "mcp-remote-auto": Tried(mcp_remote(python("python_sdk.py", "auto")), MODERN),
}
"""Clients that only a gateway over HTTP concerns."""
COMPILED: Mapping[str, Tried] = {
    "go-sdk-legacy": Tried(program(compiled.go, "legacy"), LEGACY),
    "go-sdk-auto": Tried(program(compiled.go, "auto"), MODERN),
    "rmcp-legacy": Tried(program(compiled.rust, "legacy"), LEGACY),
    "rmcp-auto": Tried(program(compiled.rust, "auto"), MODERN),
    "java-sdk": Tried(program(compiled.java, "legacy"), LEGACY),
}
"""Clients that take minutes to build."""
BOTH_WAYS = {**TRIED, **COMPILED}
WAYS = [
    *((name, way) for name in BOTH_WAYS for way in ("http", "stdio")),
    *((name, "http") for name in BRIDGED),
    *((name, "stdio-to-http") for name in ("fastmcp-auto", "typescript-sdk-v1", "typescript-sdk-v2-auto")),
]


@dataclass(frozen=True, slots=True)
class Gate:
    """How the gateway is reached, by the way to it, before servers that note in `folder` what reaches them."""

    ways: Mapping[str, Server]
    folder: Path


@pytest.fixture(scope="session")
def gate(opa_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("clients")
    policy = folder / "policy.json"
    policy.write_text(POLICY, encoding="utf-8")
    with pytest.MonkeyPatch.context() as environment, serving(folder / "log", "http") as upstream:
        environment.setenv("REGATE_OPA", str(opa_path))
        environment.setenv("PYTHONPATH", str(ROOT))
        with (
            gateway.running(policy, ["--name", "chatty", *upstream], folder / "gateway") as running,
            serving(folder / "log", "stdio") as command,
        ):
            options = ["--policy", str(policy), "--name", "chatty", "--state", str(folder / "state")]
            stdio = [sys.executable, "-m", "sidecar", "stdio", *options]
            ways = {
                "http": Server(running.url, running.token),
                "stdio": Server(command=[*stdio, *command]),
                "stdio-to-http": Server(command=[*stdio, *upstream]),
            }
            yield Gate(ways, folder)


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_client_sees_what_is_shown_calls_what_is_allowed_and_reads_why_not(
    name: str, way: str, gate: Gate, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    if name in COMPILED and not pytestconfig.getoption("--more-clients"):
        pytest.skip("`make clients` builds and tries it")
    tried = {**BOTH_WAYS, **BRIDGED}[name]
    here, amount = f"{name} over {way}", 1000 + WAYS.index((name, way))
    calls = [Call("echo", {"text": here}), Call("pay", {"amount": amount}), Call("secret", {})]
    try:
        shown = tried.client(gate.ways[way], calls, tmp_path)
    except (npm.Unavailable, compiled.NoTool) as reason:
        pytest.skip(str(reason))
    assert list(shown.tools) == TOOLS
    allowed, denied, hidden = shown.answers
    assert allowed == Answer(here, error=False)
    assert denied == Answer("[POLICY DENIED] Too much.", error=True)
    assert hidden.error
    noted = log(gate.folder)
    assert f"echo {here}" in noted
    assert f"pay {amount}" not in noted
    assert "secret" not in noted
    assert shown.revision == tried.revision


def test_versions_that_the_documents_name_are_those_that_are_tried() -> None:
    documents = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
    said = [*documents.splitlines(), *(paragraph.replace("\n", " ") for paragraph in documents.split("\n\n"))]
    for name, version in _versions():
        short = name.rpartition("/")[2]
        assert any(short in words and f" {version}" in words for words in said), f"{name} {version} is not in how-to.md"


def _versions() -> Iterator[tuple[str, str]]:
    yield from json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"].items()
    locked = (ROOT / "requirements" / "test.txt").read_text(encoding="utf-8")
    for name in ("mcp", "fastmcp-slim", "mcp-server-git", "mcp-server-time"):
        yield name, _found(rf"^{name}==(\S+)", locked)
    yield "go-sdk", _found(r"go-sdk v(\S+)", (HERE / "go" / "go.mod").read_text(encoding="utf-8"))
    yield "rmcp", _found(r"rmcp .*\"=(\S+?)\"", (HERE / "rust" / "Cargo.toml").read_text(encoding="utf-8"))
    java = (HERE / "java" / "pom.xml").read_text(encoding="utf-8")
    yield "sdk:mcp", _found(r"<artifactId>mcp</artifactId>\s*<version>(.+?)<", java)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match is not None, pattern
    return match[1]
