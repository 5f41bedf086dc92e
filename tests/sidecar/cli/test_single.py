import shutil
from pathlib import Path

import pytest

from sidecar.cli.single import Single, command_line, suggested_name
from sidecar.cli.terminal import Usage
from sidecar.errors import SettingsError


@pytest.mark.parametrize(
    ("command", "upstream", "expected"),
    [
        (["npx", "-y", "@modelcontextprotocol/server-github"], None, "server-github"),
        (["npx", "-y", "some-server@1.2.3"], None, "some-server"),
        (["uvx", "mcp-server-time"], None, "mcp-server-time"),
        (["/opt/venv/bin/mcp-server-git", "--repository", "/x"], None, "mcp-server-git"),
        (["python3", "-m", "my_server"], None, "my_server"),
        (["python", "server.py"], None, "server"),
        (["docker", "run", "-i", "mcp/fetch:latest"], None, "fetch-latest"),
        (["npx"], None, "server"),
        (["npx", "-y", "ünï"], None, "n"),
        (["x" * 100], None, "x" * 64),
        ([], "https://api.example.com:8443/mcp", "api-example-com"),
        ([], "http://[::1]/mcp", "1"),
        ([], "http://[", "server"),
    ],
)
def test_suggested_name_comes_from_the_package_or_the_host(
    command: list[str], upstream: str | None, expected: str
) -> None:
    assert suggested_name(command, upstream) == expected


def test_settings_of_a_command_have_one_server_policy_and_grant(tmp_path: Path) -> None:
    policy = tmp_path / "my policy.json"
    single = Single(policy, ["mcp-server-git", "-v"], env=["A=b=c", "E="], state=tmp_path / "state")
    settings = single.settings("run")
    assert settings.servers["mcp-server-git"].command == ("mcp-server-git", "-v")
    assert settings.servers["mcp-server-git"].env == {"A": "b=c", "E": ""}
    assert settings.policies["my-policy"].file == policy
    assert settings.policies["my-policy"].approval_map == ("Requires human approval.",)
    grant = settings.grants["run-mcp-server-git"]
    assert (grant.server, grant.policy) == ("mcp-server-git", "my-policy")
    assert grant.token_file == tmp_path / "state" / "tokens" / "mcp-server-git"


def test_settings_of_a_url_take_headers_by_reference(tmp_path: Path) -> None:
    headers = ["Authorization: env:UPSTREAM", "X-Key:file:/run/key"]
    settings = Single(Path("p.json"), upstream="http://h/mcp", name="n", headers=headers, state=tmp_path).settings(
        "run"
    )
    assert settings.servers["n"].headers["Authorization"].env == "UPSTREAM"
    assert settings.servers["n"].headers["X-Key"].file == Path("/run/key")


@pytest.mark.parametrize(("given", "expected"), [(["A.", "B."], ("A.", "B.")), ([""], ()), ([], ())])
def test_settings_take_the_approval_map_given(given: list[str], expected: tuple[str, ...], tmp_path: Path) -> None:
    single = Single(Path("p.json"), ["x"], approval_map=given, state=tmp_path)
    assert single.settings("run").policies["p"].approval_map == expected


def test_settings_with_mistakes_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(Usage, match=r"^--name: a name may hold"):
        Single(Path("p.json"), ["x"], name="a b", state=tmp_path).settings("run")


def test_stdio_arguments_make_the_same_gateway_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "repo").mkdir()
    command = ["sh", "-c", "x", "repo", "./repo", ".", "no/such", "/"]
    single = Single(Path("p.json"), command, name="n", env=["A=b"], approval_map=["T."], state=tmp_path / "s")
    assert single.stdio_arguments() == [
        *("stdio", "--policy", str(tmp_path / "p.json"), "--state", str(tmp_path / "s"), "--name", "n"),
        *("--env", "A=b", "--approval-map", "T.", "--", str(shutil.which("sh")), "-c", "x"),
        *("repo", str(tmp_path / "repo"), str(tmp_path), "no/such", "/"),
    ]


def test_stdio_arguments_for_a_url_name_it_and_its_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    headers = ["Authorization: env:UPSTREAM", "X-Key:file:key"]
    single = Single(Path("p.json"), upstream="http://h/mcp", headers=headers, state=tmp_path / "s")
    assert single.stdio_arguments()[-6:] == [
        *("--header", "Authorization: env:UPSTREAM", "--header", f"X-Key: file:{tmp_path / 'key'}"),
        *("--upstream", "http://h/mcp"),
    ]


def test_command_line_without_its_program_says_which() -> None:
    with pytest.raises(SettingsError, match="command not found: no-such-program"):
        command_line(["no-such-program"])
