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
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from tests import npm

HERE = Path(__file__).parent
RUN_S = 100

_PROGRAMS = HERE / "programs"
_INSPECTOR = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
_REMOTE = "mcp-remote/dist/proxy.js"


@dataclass(frozen=True, slots=True)
class Server:
    """What a client is given: a URL with a token, or a command."""

    url: str = ""
    token: str = ""
    command: Sequence[str] = ()


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


@cache
def packages() -> npm.Packages:
    return npm.installed(HERE)


def python(name: str, mode: str) -> Client:
    return partial(_program, lambda: [sys.executable, str(_PROGRAMS / name)], mode)


def node(name: str, mode: str = "legacy") -> Client:
    """A program for Node; what it imports is looked for below the folder it is started in."""
    source = (_PROGRAMS / name).read_text(encoding="utf-8")
    return partial(_program, lambda: [str(packages().node), "--input-type=module", "-e", source], mode)


def _program(argv: Callable[[], list[str]], mode: str, server: Server, calls: Sequence[Call], folder: Path) -> Shown:
    command = argv()
    at = packages().modules.parent if command[0] != sys.executable else folder
    task = {"mode": mode, "calls": [(call.tool, call.arguments) for call in calls]}
    at_url = {"url": server.url, "token": server.token}
    task |= {"command": list(server.command), "env": dict(os.environ)} if server.command else at_url
    done = _run(command, folder, cwd=at, input=json.dumps(task))
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
        entry = {"command": server.command[0], "args": server.command[1:], "env": dict(os.environ)}
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
    """A client that knows stdio only, before mcp-remote."""
    return partial(_mcp_remote, client)


def _mcp_remote(client: Client, server: Server, calls: Sequence[Call], folder: Path) -> Shown:
    headers = folder / "headers"
    headers.write_text(f"Authorization: Bearer {server.token}\n", encoding="utf-8")
    bridge = packages().command(_REMOTE, server.url, "--header-file", str(headers), "--transport", "http-only")
    return client(Server(command=bridge), calls, folder)


def _run(command: list[str], home: Path, **more: Any) -> "subprocess.CompletedProcess[str]":
    """Runs a client to its end, with a home of its own. Raises: subprocess.TimeoutExpired."""
    env = {**os.environ, "HOME": str(home), "MCP_INSPECTOR_SECRET_STORE": "memory"}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=RUN_S, check=False, **more)
