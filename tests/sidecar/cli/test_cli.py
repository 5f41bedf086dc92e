import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

import sidecar
from sidecar import cli
from sidecar.errors import StoreError

COMMANDS = (
    "run",
    "serve",
    "stdio",
    "init",
    "check",
    "fmt",
    "schema",
    "import",
    "merge",
    "build",
    "bundles push",
    "bundles serve",
    "test",
    "coverage",
    "diff",
    "explain",
    "status",
    "health",
    "injector",
    "opa",
    "grants create",
    "grants list",
    "grants revoke",
    "approvals list",
    "approvals approve",
    "approvals refuse",
    "audit tail",
)


@pytest.fixture(autouse=True)
def _away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a policy and settings that are files, and no state of this machine's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("REGATE_STATE", raising=False)
    monkeypatch.delenv("REGATE_DEBUG", raising=False)
    Path("policy.json").write_text("{}", encoding="utf-8")
    Path("other").mkdir()
    Path("other/policy.json").write_text("{}", encoding="utf-8")
    Path("regate.yaml").write_text("servers: {git: {command: [x]}}\n", encoding="utf-8")


def test_commands_are_all_there() -> None:
    def names(command: object, path: str) -> list[str]:
        children = getattr(command, "commands", None)
        if children is None:
            return [path]
        return [name for child in children.items() for name in names(child[1], f"{path} {child[0]}".strip())]

    assert sorted(names(typer.main.get_command(cli.application()), "")) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_an_example_of_it(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*command.split(), "--help"]) == 0
    printed = capsys.readouterr().out
    example = printed.partition("Example")[2]
    assert f"regate {command}" in example.replace('"$(regate opa)" version', "regate opa")
    assert "Traceback" not in printed


@pytest.mark.parametrize("group", ["", "grants", "approvals", "audit"])
def test_help_of_each_group_has_an_example(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*group.split(), "--help"]) == 0
    assert "Example" in capsys.readouterr().out


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"regate {sidecar.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_option_is_one_line_and_exit_2(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*command.split(), "--xyzzy"]) == 2
    assert capsys.readouterr().err == f"regate {command}: No such option: --xyzzy. See 'regate {command} --help'.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "regate: Missing command"),
        ("frob", "regate: No such command 'frob'"),
        ("grant", "regate: No such command 'grant'. Did you mean 'grants'?"),
        ("grants", "regate grants: Missing command"),
        ("approvals frob", "regate approvals: No such command 'frob'"),
        ("run", "regate run: Missing option '--policy'"),
        ("run --policy none.json", "regate run: Invalid value for '--policy': file 'none.json' does not exist"),
        ("run --policy other", "regate run: Invalid value for '--policy': file 'other' is a directory"),
        (
            "run --policy policy.json",
            "regate run: name one server: `-- COMMAND ...` at the end, --image IMAGE, or --upstream URL",
        ),
        (
            "run --policy policy.json --upstream http://h -- x",
            "regate run: name one server: `-- COMMAND ...` at the end, --image IMAGE, or --upstream URL",
        ),
        ("run --policy policy.json --upstream ftp://h", "regate run: --upstream: must be an http:// or https:// URL"),
        (
            "run --policy policy.json --upstream http://u:pw@h",
            "regate run: --upstream: must not hold credentials; put them into headers, as {env: NAME} or {file: PATH}",
        ),
        (
            "run --policy policy.json --upstream http://h --header X:abc",
            "regate run: --header: must be 'Name: env:VARIABLE' or 'Name: file:PATH' (a value here would show in `ps`)",
        ),
        (
            "run --policy policy.json --upstream http://h --header Host:env:X",
            "regate run: --header: Host is the gateway's own to set",
        ),
        (
            "run --policy policy.json --upstream http://h --env A=b",
            "regate run: --env is for a command; a URL takes --header",
        ),
        (
            "run --policy policy.json --header A:env:X -- x",
            "regate run: --header is for --upstream; a command takes --env",
        ),
        ("run --policy policy.json --env A -- x", "regate run: --env: must be NAME=VALUE"),
        ("run --policy policy.json --env =b -- x", "regate run: --env: must be NAME=VALUE"),
        (
            "run --policy policy.json --listen 8700 -- x",
            "regate run: --listen: must be HOST:PORT, such as 127.0.0.1:8700",
        ),
        (
            "run --policy policy.json --listen h:x -- x",
            "regate run: --listen: must be HOST:PORT, such as 127.0.0.1:8700",
        ),
        (
            "run --policy policy.json --listen h:70000 -- x",
            "regate run: --listen: must be HOST:PORT, such as 127.0.0.1:8700",
        ),
        (
            "run --policy policy.json --listen ::1:80 -- x",
            "regate run: --listen: an IPv6 address goes into brackets, as in [::1]:8700",
        ),
        (
            "run --policy policy.json --listen 0.0.0.0:0 --no-auth -- x",
            "regate run: --no-auth: can be off on a loopback address only (listen on 127.0.0.1)",
        ),
        (
            "run --policy policy.json --name a/b -- x",
            "regate run: --name: a name may hold letters, digits, _ and - only, and at most 64 of them",
        ),
        (
            "run --policy policy.json --ready-file other -- x",
            "regate run: Invalid value for '--ready-file': file 'other' is a directory",
        ),
        (
            "run --policy policy.json --state policy.json -- x",
            "regate run: Invalid value for '--state': dir 'policy.json' is a file",
        ),
        (
            "audit tail --state ~nobody-here/x",
            "regate audit tail: --state: begins with a home folder that does not exist",
        ),
        ("serve", "regate serve: Missing option '--config'"),
        ("serve --config none.yaml", "regate serve: Invalid value for '--config': file 'none.yaml' does not exist"),
        ("serve --config regate.yaml --listen x", "regate serve: --listen: must be HOST:PORT, such as 127.0.0.1:8700"),
        ("serve --config regate.yaml extra", "regate serve: Got unexpected extra argument(s) (extra)"),
        ("stdio -- x", "regate stdio: Missing option '--policy'"),
        (
            "stdio --policy policy.json",
            "regate stdio: name one server: `-- COMMAND ...` at the end, --image IMAGE, or --upstream URL",
        ),
        (
            "stdio --policy policy.json --listen x -- x",
            "regate stdio: No such option: --listen (Possible options: --env, --list, --state)",
        ),
        ("check", "regate check: Missing argument 'policies'"),
        ("check none.json", "regate check: Invalid value for 'policies': file 'none.json' does not exist"),
        (
            "build policy.json other/policy.json -o x",
            "regate build: policy.json and other/policy.json would have the same id, policy; rename one",
        ),
        ("build policy.json", "regate build: Missing option '-o' / '--output'"),
        ("build -o x", "regate build: name at least one policy file or folder"),
        (
            "build policy.json -o other",
            "regate build: Invalid value for '-o' / '--output': file 'other' is a directory",
        ),
        ("status --format xml", "regate status: Invalid value for '--format': 'xml' is not one of 'text', 'json'"),
        ("opa extra", "regate opa: Got unexpected extra argument(s) (extra)"),
        ("grants create --server a", "regate grants create: Missing option '--policy'"),
        (
            "grants create --server a/b --policy p",
            "regate grants create: --server: may hold letters, digits, _ . and - only, and at most 128 of them",
        ),
        (
            "grants create --server a --policy p --id é",
            "regate grants create: --id: may hold letters, digits, _ . and - only, and at most 128 of them",
        ),
        (
            "grants create --server other --policy p --config regate.yaml",
            "regate grants create: --server: regate.yaml names no such one; it has git",
        ),
        (
            "grants create --server git --policy p --config regate.yaml",
            "regate grants create: --policy: regate.yaml names no such one; it has none",
        ),
        ("grants revoke", "regate grants revoke: Missing argument 'ID'"),
        ("approvals approve", "regate approvals approve: Missing argument 'ID'"),
        ("approvals refuse a b", "regate approvals refuse: Got unexpected extra argument(s) (b)"),
        (
            "audit tail -n x",
            "regate audit tail: Invalid value for '-n' / '--lines': "
            "Input should be a valid integer, unable to parse string as an integer",
        ),
        (
            "audit tail --outcome no",
            "regate audit tail: Invalid value for '--outcome': 'no' is not one of "
            "'allow', 'deny', 'approval_required', 'refused'",
        ),
    ],
)
def test_wrong_usage_is_one_clear_line_and_exit_2(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.split(". See '")[0] == message
    assert "pw" not in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("grants list --state none", "none is no state directory"),
        ("grants revoke x --state none", "none is no state directory"),
        ("approvals list --state none", "none is no state directory"),
        ("approvals approve x --state none", "none is no state directory"),
        ("audit tail --state none", "none is no state directory"),
        ("status --state none", "no gateway runs on"),
        ("run --policy policy.json -- no-such-program", "command not found: no-such-program"),
        ("stdio --policy policy.json -- no-such-program", "command not found: no-such-program"),
        ("build policy.json -o none/x", "none/x cannot be written: no such file or directory"),
    ],
)
def test_what_cannot_be_done_is_told_and_exit_1(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("policy.json").write_text('{"version": "1", "default": "deny", "tools": {}}', encoding="utf-8")
    assert cli.main(arguments.split()) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err.splitlines()[0]
    assert not Path("none").exists()


def test_settings_with_mistakes_are_all_told_and_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    Path("regate.yaml").write_text("servers: {a: {}}\nlisten_port: x\n", encoding="utf-8")
    assert cli.main(["serve", "--config", "regate.yaml"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "regate: regate.yaml:1:11: servers.a: must have one of command, image and url"
        " (command: [npx, -y, some-server])",
        "regate: regate.yaml:2:1: listen_port: must be a whole number",
        "  Correct the named setting and start again.",
    ]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Makes `regate opa` fail with an error."""

    def fail(error: Exception) -> None:
        def ensure(say: object) -> None:
            raise error

        monkeypatch.setattr("sidecar.opa.binary.ensure", ensure)

    return fail


def test_unexpected_error_is_one_line_without_its_text(
    failing: Callable[[Exception], None], capsys: pytest.CaptureFixture[str]
) -> None:
    failing(RuntimeError("s3cret"))
    assert cli.main(["opa"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("regate: unexpected RuntimeError at tests/sidecar/cli/test_cli.py:")
    assert "REGATE_DEBUG=1" in line
    assert "s3cret" not in line


def test_unexpected_error_with_debug_shows_the_traceback(
    failing: Callable[[Exception], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGATE_DEBUG", "1")
    failing(RuntimeError("told"))
    assert cli.main(["opa"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_error_of_ours_is_told_with_its_hint_and_cannot_steer_the_terminal(
    failing: Callable[[Exception], None], capsys: pytest.CaptureFixture[str]
) -> None:
    failing(StoreError("bad \x1b[31m thing", hint="do this"))
    assert cli.main(["opa"]) == 1
    assert capsys.readouterr().err == "regate: bad \\u001b[31m thing\n  do this\n"


def test_interrupt_is_130_without_a_traceback(
    failing: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    failing(KeyboardInterrupt())
    assert cli.main(["opa"]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("redirection", "code", "message"),
    [
        (">/dev/full", 1, "regate: the output cannot be written: no space left on device\n"),
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
    ],
)
def test_output_that_cannot_be_written_is_no_traceback(redirection: str, code: int, message: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m sidecar --version {redirection}', sys.executable],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(sidecar.__file__).parents[1],
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", message)


def test_module_runs_as_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["regate", "--version"])
    monkeypatch.delitem(sys.modules, "sidecar.__main__", raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("sidecar", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("regate ")


def test_help_into_a_closed_pipe_says_nothing() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "sidecar", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(sidecar.__file__).parents[1],
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(30)


def test_help_imports_nothing_heavy() -> None:
    heavy = ("structlog", "uvloop", "msgspec", "httpx", "sqlite3", "yaml", "rich", "translator", "sidecar.settings")
    program = (
        "import sys; from sidecar import cli; code = cli.main(['run', '--help']); "
        f"sys.exit(', '.join(name for name in {heavy} if name in sys.modules) or code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(sidecar.__file__).parents[1],
    )
    assert (done.stderr, done.returncode) == ("", 0)


def test_document_in_a_file_is_utf_8_in_every_locale() -> None:
    text = '{"version": "1", "default": "deny", "tools": {"\u00e9\U0001f600": {}}}'
    Path("policy.json").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "sidecar", "merge", "policy.json"]
    printed = subprocess.check_output(command, env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    assert json.loads(printed.decode("utf-8")) == json.loads(text)
