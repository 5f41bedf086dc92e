import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli import gateway
from sidecar.cli.serve import listen_address
from sidecar.cli.terminal import Usage

Regate = Callable[..., Any]

YAML = """\
servers:
  git: {command: [mcp-server-git]}
  web: {url: 'http://h/mcp'}
policies:
  careful: {file: policy.json}
"""


@dataclass(frozen=True)
class Served:
    """What wiring says once calls can be served."""

    url: str = "http://127.0.0.1:8700/mcp"
    base: str = "http://127.0.0.1:8700"
    operator_url: str = "http://127.0.0.1:8700"
    pid: int = 7
    tools: dict[str, Any] = field(default_factory=lambda: {"git": [("git_log", "allowed"), ("git_reset", "hidden")]})


@dataclass
class Started:
    """What the command would have served with."""

    settings: Any = None
    token: str | None = None


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Started:
    """Stands in for the gateway: it is ready at once, and ends."""
    found = Started()

    def serve_http(settings: Any, token: str | None, greet: Callable[[Any], None]) -> None:
        found.settings, found.token = settings, token
        greet(Served())

    monkeypatch.setattr(gateway, "serve_http", serve_http)
    (tmp_path / "policy.json").write_text("{}", encoding="utf-8")
    (tmp_path / "regate.yaml").write_text(YAML, encoding="utf-8")
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8700", ("127.0.0.1", 8700)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_listen_address_is_host_and_port(text: str, expected: tuple[str, int]) -> None:
    assert listen_address(text) == expected


@pytest.mark.parametrize("text", ["", ":", "8700", ":8700", "h:", "h:-1", "h:65536", "h:٣", "::1:80", "[]:80"])
def test_listen_address_that_is_none_is_wrong_usage(text: str) -> None:
    with pytest.raises(Usage, match="--listen"):
        listen_address(text)


def test_run_says_all_that_a_person_needs(regate: Regate, started: Started) -> None:
    done = regate("run", "--policy", "policy.json", "--name", "git", "--", "sh", "-c", "x")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].endswith("governs git under policy.json")
    assert "  gateway  http://127.0.0.1:8700/mcp" in lines
    assert f"  token    {started.token}" in lines
    for client in ("Claude Code", "Claude Desktop", "Cursor", "VS Code"):
        assert any(line.startswith(client) for line in lines)
    assert lines[lines.index("Tools of git (2):") + 1 :][:2] == ["  git_log    allowed", "  git_reset  hidden"]
    assert lines[-1] == "Ctrl-C stops it."


def test_run_keeps_its_token_for_the_next_time(regate: Regate, started: Started, tmp_path: Path) -> None:
    tokens = set()
    for _ in range(2):
        regate("run", "--policy", "policy.json", "--name", "git", "--", "sh")
        tokens.add(started.token)
    (token,) = tokens
    file = tmp_path / "state" / "tokens" / "git"
    assert file.read_text(encoding="ascii").strip() == token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert started.settings.grants["run-git"].token() == token


def test_run_passes_its_flags_on(regate: Regate, started: Started, tmp_path: Path) -> None:
    flags = ["--listen", "localhost:9", "--ready-file", "ready.json", "--state", "own", "--approval-map", "Ask."]
    regate("run", "--policy", "policy.json", *flags, "--upstream", "http://h/mcp", "--header", "A:env:B")
    settings = started.settings
    assert (settings.listen_host, settings.listen_port) == ("localhost", 9)
    assert (settings.state, settings.ready_file) == (tmp_path / "own", tmp_path / "ready.json")
    assert settings.policies["policy"].approval_map == ("Ask.",)
    assert settings.servers["h"].headers["A"].env == "B"


def test_run_speaks_tls_with_files_from_the_folder_it_is_called_in(
    regate: Regate, started: Started, tmp_path: Path
) -> None:
    flags = ["--listen", "0.0.0.0:9", "--tls-cert", "tls.crt", "--tls-key", "tls.key"]
    done = regate("run", "--policy", "policy.json", *flags, "--", "sh")
    assert started.settings.tls.files == (tmp_path / "tls.crt", tmp_path / "tls.key", None)
    assert "in the clear" not in done.err


@pytest.mark.parametrize("flag", ["--tls-cert", "--tls-key"])
def test_run_with_half_of_a_pair_is_wrong_usage(flag: str, regate: Regate, started: Started) -> None:
    done = regate("run", "--policy", "policy.json", flag, "tls.pem", "--", "sh")
    assert done.code == 2
    assert "--tls-cert and --tls-key go together" in done.err


def test_run_without_auth_makes_no_token_and_warns(regate: Regate, started: Started, tmp_path: Path) -> None:
    done = regate("run", "--policy", "policy.json", "--no-auth", "--", "sh")
    assert started.token is None
    assert started.settings.auth is False
    assert "  token    none is asked for" in done.out.splitlines()
    assert "Bearer" not in done.out
    assert "no token is asked for" in done.err
    assert not (tmp_path / "state" / "tokens").exists()


def test_run_for_other_machines_warns_of_plain_http(regate: Regate, started: Started) -> None:
    done = regate("run", "--policy", "policy.json", "--listen", "0.0.0.0:8700", "--", "sh")
    assert done.code == 0
    assert "put TLS in front" in done.err


def test_run_command_keeps_its_own_options(regate: Regate, started: Started) -> None:
    regate("run", "--policy", "policy.json", "sh", "--listen", "x", "--", "--help")
    assert started.settings.servers["x"].command == ("sh", "--listen", "x", "--", "--help")


def test_serve_says_where_each_server_is(regate: Regate, started: Started) -> None:
    done = regate("serve", "--config", "regate.yaml", "--listen", "127.0.0.1:0")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert "  http://127.0.0.1:8700/mcp/git" in lines
    assert "  http://127.0.0.1:8700/mcp/web" in lines
    assert started.token is None
    assert started.settings.listen_port == 0


def test_serve_of_a_server_that_does_not_answer_says_so(
    regate: Regate, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve_http(settings: Any, token: str | None, greet: Callable[[Any], None]) -> None:
        greet(Served(tools={"git": None, "web": [("a\x1b", "allowed")]}))

    monkeypatch.setattr(gateway, "serve_http", serve_http)
    lines = regate("serve", "--config", "regate.yaml").out.splitlines()
    assert "Tools of git: not known yet, for it does not answer; see the log." in lines
    assert "  a\\u001b  allowed" in lines


def test_serve_for_other_machines_without_a_grant_is_refused(regate: Regate, started: Started) -> None:
    arguments = ("serve", "--config", "regate.yaml", "--listen", "0.0.0.0:0")
    done = regate(*arguments)
    assert done.code == 1
    assert "listening on 0.0.0.0 needs a grant first, and there is none" in done.err
    assert started.settings is None
    regate("grants", "create", "--server", "git", "--policy", "careful", "--id", "ci")
    assert regate(*arguments).code == 0
    regate("grants", "revoke", "ci")
    assert regate(*arguments).code == 1


def test_serve_for_other_machines_with_a_grant_in_the_settings_is_fine(
    regate: Regate, started: Started, tmp_path: Path
) -> None:
    grants = "grants:\n  ci: {server: git, policy: careful, token_env: T}\nlisten_host: 0.0.0.0\n"
    (tmp_path / "regate.yaml").write_text(YAML + grants, encoding="utf-8")
    assert regate("serve", "--config", "regate.yaml").code == 0
