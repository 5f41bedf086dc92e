"""Clients of others, each run as its user runs it: given a server and calls, what it shows. Judges nothing.

A program in `programs` reads a task from standard input, one JSON object: `url` and `token`, or `command` and `env`;
`mode`, the era to speak; `calls`, pairs of a tool and its arguments. It prints one JSON object: `tools`, their names;
`answers`, for each call its `text` and whether it is an `error`; `revision`, where its SDK tells what was agreed on.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from sidecar.cli.clients import Entry
from tests import npm

HERE = Path(__file__).parent
RUN_S = 100

_PROGRAMS = HERE / "programs"
_INSPECTOR = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
_REMOTE = "mcp-remote/dist/proxy.js"


@dataclass(frozen=True, slots=True)
class Server:
    """What a client is given: a URL with a token, or a command with more for its environment."""

    url: str = ""
    token: str = ""
    command: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    error: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """What the client's user sees. `revision` is empty where the client does not tell."""

    tools: Sequence[str]
    answers: Sequence[Answer]
    revision: str = ""


Client = Callable[[Server, Sequence[Call], Path], Shown]
"""Runs the calls on the server; may write into the folder. Raises: npm.Unavailable."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a program is started, and in which folder, if it matters."""

    argv: list[str]
    folder: Path | None = None


@cache
def packages() -> npm.Packages:
    return npm.installed(HERE)


def python(name: str, mode: str) -> Client:
    return program(lambda: Start([sys.executable, str(_PROGRAMS / name)]), mode)


def node(name: str, mode: str = "legacy") -> Client:
    """A program for Node; what it imports is looked for below the folder it is started in."""
    source = (_PROGRAMS / name).read_text(encoding="utf-8")
    return program(
        lambda: Start([str(packages().node), "--input-type=module", "-e", source], packages().modules.parent), mode
    )


def program(start: Callable[[], Start], mode: str) -> Client:
    return partial(_program, start, mode)


def _program(start: Callable[[], Start], mode: str, server: Server, calls: Sequence[Call], folder: Path) -> Shown:
    how = start()
    task: dict[str, Any] = {"mode": mode, "calls": [(call.tool, call.arguments) for call in calls]}
    at_url = {"url": server.url, "token": server.token}
    task |= {"command": list(server.command), "env": {**os.environ, **server.env}} if server.command else at_url
    done = _run(how.argv, folder, cwd=how.folder or folder, input=json.dumps(task))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    return Shown(said["tools"], [Answer(**answer) for answer in said["answers"]], said.get("revision", ""))


def inspector(mode: str) -> Client:
    return partial(_inspector, mode)


def _inspector(mode: str, server: Server, calls: Sequence[Call], folder: Path) -> Shown:
    """Its command line does one thing each time it is started; the server is an entry of its settings file.

    It calls no tool that is not in the list, and says so itself.
    """
    entry: dict[str, Any] = {"type": "streamable-http", "url": server.url}
    entry["headers"] = {"Authorization": f"Bearer {server.token}"}
    if server.command:
        entry = {"command": server.command[0], "args": server.command[1:], "env": {**os.environ, **server.env}}
    file = folder / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"gate": entry}}), encoding="utf-8")

    def asked(*method: str) -> Any:
        options = ["--config", str(file), "--server", "gate", "--protocol-era", mode, "--format", "json"]
        done = _run(packages().command(_INSPECTOR, "--cli", *options, "--method", *method), folder, cwd=folder)
        if done.stdout:
            return json.loads(done.stdout)["result"]
        refused = json.loads(done.stderr.splitlines()[-1])["error"]
        return {"isError": True, "content": [{"type": "text", "text": refused["message"]}]}

    tools = [tool["name"] for tool in asked("tools/list")["tools"]]
    answers = []
    for call in calls:
        arguments = json.dumps(dict(call.arguments))
        result = asked("tools/call", "--tool-name", call.tool, "--tool-args-json", arguments)
        text = "".join(part["text"] for part in result["content"])
        answers.append(Answer(text, result.get("isError", False)))
    return Shown(tools, answers)


def mcp_remote(client: Client) -> Client:
    """A client that knows stdio only, with the entry that regate prints for it, which starts mcp-remote."""
    return partial(_mcp_remote, client)


def _mcp_remote(client: Client, server: Server, calls: Sequence[Call], folder: Path) -> Shown:
    (printed,) = [line for line in Entry("gate", server.url, server.token, ["regate"]).lines() if "npx" in line]
    entry = json.loads(printed)["mcpServers"]["gate"]
    assert entry["args"][:2] == ["-y", "mcp-remote"]
    bridge = packages().command(_REMOTE, *entry["args"][2:])
    return client(Server(command=bridge, env={**entry["env"], "HOME": str(folder)}), calls, folder)


def _run(command: list[str], home: Path, **more: Any) -> "subprocess.CompletedProcess[str]":
    """Runs a client to its end, with a home of its own. Raises: subprocess.TimeoutExpired."""
    env = {**os.environ, "HOME": str(home), "MCP_INSPECTOR_SECRET_STORE": "memory"}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=RUN_S, check=False, **more)
