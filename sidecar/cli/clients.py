"""What a person pastes into an MCP client to reach the gateway. Text only; nothing is written or asked."""

import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Entry:
    """One server behind the gateway. `stdio` is the `regate stdio` command that does the same."""

    name: str
    url: str
    token: str | None
    stdio: Sequence[str]

    def lines(self) -> Iterator[str]:
        """An entry for each client that people use, under a line that says where it goes."""
        headers = {"headers": {"Authorization": f"Bearer {self.token}"}} if self.token else {}
        yield "Claude Code:"
        yield f"  {shlex.join(self._claude_code())}"
        yield "Claude Desktop, in claude_desktop_config.json:"
        yield f"  {_json({'mcpServers': {self.name: {'command': self.stdio[0], 'args': list(self.stdio[1:])}}})}"
        yield "Cursor, in ~/.cursor/mcp.json:"
        yield f"  {_json({'mcpServers': {self.name: {'url': self.url, **headers}}})}"
        yield "VS Code, in .vscode/mcp.json:"
        yield f"  {_json({'servers': {self.name: {'type': 'http', 'url': self.url, **headers}}})}"
        yield "A client that only starts commands, on a machine without regate:"
        yield f"  {_json({'mcpServers': {self.name: self._bridge()}})}"

    def _claude_code(self) -> list[str]:
        add = ["claude", "mcp", "add", "--transport", "http", self.name, self.url]
        return [*add, "--header", f"Authorization: Bearer {self.token}"] if self.token else add

    def _bridge(self) -> dict[str, object]:
        """The usual bridge from commands to HTTP."""
        bridge = ["-y", "mcp-remote", self.url, "--allow-http"]
        if not self.token:
            return {"command": "npx", "args": bridge}
        # The bridge's own advice: a space inside an argument is lost on its way on some systems.
        args = [*bridge, "--header", "Authorization:${REGATE_HEADER}"]
        return {"command": "npx", "args": args, "env": {"REGATE_HEADER": f"Bearer {self.token}"}}


def own_command() -> list[str]:
    """How this very program is started again from anywhere."""
    script = Path(sys.argv[0]).absolute()
    if script.name == "regate" and script.exists():
        return [str(script)]
    return [sys.executable, "-m", "sidecar"]


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False)
