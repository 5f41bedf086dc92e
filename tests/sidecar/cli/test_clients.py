import json
import sys
from pathlib import Path

import pytest

from sidecar.cli.clients import Entry, own_command


def test_entry_with_a_token_fits_each_client() -> None:
    lines = list(Entry("git", "http://127.0.0.1:8700/mcp", "tok", ["/bin/regate", "stdio"]).lines())
    heads, entries = lines[::2], [line.strip() for line in lines[1::2]]
    names = ["Claude Code", "Claude Desktop", "Cursor", "VS Code", "A client that only starts commands"]
    assert [head.split(",")[0].rstrip(":") for head in heads] == names
    assert entries[0] == (
        "claude mcp add --transport http git http://127.0.0.1:8700/mcp --header 'Authorization: Bearer tok'"
    )
    assert json.loads(entries[1]) == {"mcpServers": {"git": {"command": "/bin/regate", "args": ["stdio"]}}}
    headers = {"Authorization": "Bearer tok"}
    assert json.loads(entries[2]) == {"mcpServers": {"git": {"url": "http://127.0.0.1:8700/mcp", "headers": headers}}}
    assert json.loads(entries[3]) == {
        "servers": {"git": {"type": "http", "url": "http://127.0.0.1:8700/mcp", "headers": headers}}
    }


def test_entry_without_a_token_has_no_header() -> None:
    text = "\n".join(Entry("git", "http://127.0.0.1:8700/mcp", None, ["regate"]).lines())
    assert "Authorization" not in text
    assert "Bearer" not in text


def test_entry_for_a_client_elsewhere_that_starts_commands_is_a_bridge() -> None:
    lines = list(Entry("web", "http://127.0.0.1:8700/mcp", "tok", ["regate"]).lines())
    entry = json.loads(lines[-1])["mcpServers"]["web"]
    assert entry["command"] == "npx"
    assert entry["args"][:3] == ["-y", "mcp-remote", "http://127.0.0.1:8700/mcp"]
    assert "tok" not in " ".join(entry["args"])
    assert entry["env"] == {"REGATE_HEADER": "Bearer tok"}


def test_own_command_is_the_script_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "regate"
    script.touch()
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert own_command() == [str(script)]


def test_own_command_is_the_module_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/x/pytest"])
    assert own_command() == [sys.executable, "-m", "sidecar"]
