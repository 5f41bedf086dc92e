import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.settings.file import ENVIRONMENT, Override, SettingsRejected, build, load

GOOD = """
servers:
  git: {command: [mcp-server-git], env: {A: b}, cwd: work}
  web:
    url: https://host.example/mcp
    headers:
      Authorization: {env: WEB_TOKEN}
      X-Tenant: acme
policies:
  careful: {file: policy.json}
grants:
  ci: {server: git, policy: careful, token_env: CI_TOKEN}
"""


@pytest.fixture
def problems(tmp_path: Path) -> Callable[..., list[str]]:
    """The problems of a settings file, without the path each begins with."""

    def run(text: str, *overrides: Override, environ: dict[str, str] | None = None) -> list[str]:
        path = tmp_path / "regate.yaml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        with pytest.raises(SettingsRejected) as raised:
            load(path, overrides, environ or {})
        return [problem.replace(f"{path}:", "") for problem in raised.value.problems]

    return run


def _load(tmp_path: Path, text: str, *overrides: Override, environ: dict[str, str] | None = None) -> Any:
    path = tmp_path / "regate.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, overrides, environ or {})


def test_load_good_file_gives_settings_with_paths_beside_it(tmp_path: Path) -> None:
    settings = _load(tmp_path, GOOD + "state: here\n")
    assert settings.servers["git"].command == ("mcp-server-git",)
    assert settings.servers["git"].cwd == tmp_path / "work"
    assert settings.policies["careful"].file == tmp_path / "policy.json"
    assert settings.policies["careful"].approval_map == ("Requires human approval.",)
    assert settings.state == tmp_path / "here"
    assert settings.servers["web"].headers["X-Tenant"].read() == "acme"
    assert settings.grants["ci"].policy == "careful"


def test_load_absent_values_are_defaults(tmp_path: Path) -> None:
    settings = _load(tmp_path, GOOD + "allowed_origins:\n")
    assert settings.allowed_origins == ()


def test_load_environment_outranks_file_and_override_outranks_both(tmp_path: Path) -> None:
    text = GOOD + "listen_port: 1\nlog_level: error\nbody_limit_bytes: 2048\n"
    environ = {"REGATE_LISTEN_PORT": "2", "REGATE_LOG_LEVEL": "debug", "REGATE_DEBUG": "1", "REGATE_OPA": "/opa"}
    settings = _load(tmp_path, text, Override("listen_port", 3, "--listen"), environ=environ)
    assert (settings.listen_port, settings.log_level, settings.body_limit_bytes) == (3, "debug", 2048)


def test_load_path_from_outside_is_relative_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    settings = _load(tmp_path, GOOD, Override("state", "mine", "--state"))
    assert settings.state == tmp_path / "elsewhere" / "mine"


def test_environment_names_every_simple_setting() -> None:
    assert "REGATE_LISTEN_HOST" in ENVIRONMENT
    assert "REGATE_STATE" in ENVIRONMENT
    assert "REGATE_OPA" not in ENVIRONMENT
    assert "REGATE_SERVERS" not in ENVIRONMENT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n", ["must be a mapping (see `regate serve --help` for an example)"]),
        ("", ["must be a mapping (see `regate serve --help` for an example)"]),
        ("a: {", ["1:5: not valid YAML: expected the node content, but found '<stream end>'"]),
        ("servers: {}\n", ["1:1: servers: must not be empty"]),
        ("servers: [a]\n", ["1:1: servers: must be a mapping (name: value)"]),
        ("servers: {a: b}\n", [
            "1:11: servers.a: must have one of command, image and url (command: [npx, -y, some-server])",
            "1:11: servers.a: must be a mapping (name: value)",
        ]),
        ("servers: {a: {url: 'http://h'}}\nservers: {}\n", ["2:1: servers: given twice"]),
        ("servers: {a: {url: 'http://h'}}\nlisten_prt: 1\n", [
            "2:1: listen_prt: unknown setting (did you mean listen_port?)"
        ]),
        ("servers: {a: {url: 'http://h'}}\nopa: {timeout: 1}\n", [
            "2:7: opa.timeout: unknown setting (did you mean timeout_s?)"
        ]),
        ("servers: {a: {url: 'http://h'}}\nzzzzzz: 1\n", ["2:1: zzzzzz: unknown setting"]),
        ("servers: {a: {url: 'http://h'}}\nlog_level: loud\n", [
            "2:1: log_level: must be 'debug', 'info', 'warning' or 'error'"
        ]),
        ("servers: {a: {url: 'http://h'}}\nauth: maybe\n", ["2:1: auth: must be true or false"]),
        ("servers: {a: {url: 'http://h'}}\nauth: false\nlisten_host: 0.0.0.0\n", [
            "2:1: auth: can be off on a loopback address only (listen on 127.0.0.1)"
        ]),
        ("servers: {a: {url: 'http://h'}}\nallowed_origins: ['https://x/y']\n", [
            "2:1: allowed_origins: an origin is scheme://host or scheme://host:port, in lower case and without a path"
        ]),
        ("servers: {a b: {url: 'http://h'}}\n", [
            "1:11: servers.a b: a name may hold letters, digits, _ and - only, and at most 64 of them"
        ]),
        ("servers: {a: {url: 'http://h', timeout_s: 0}}\n", ["1:32: servers.a.timeout_s: must be greater than 0"]),
        ("servers: {a: {url: 'http://h', timeout_s: soon}}\n", [
            "1:32: servers.a.timeout_s: must be a number"
        ]),
        ("servers: {a: {url: 'http://h', timeout_s: 1.0e+9}}\n", [
            "1:32: servers.a.timeout_s: must be 86400 or less"
        ]),
        ("servers: {a: {url: 'http://h'}}\npolicies: {p: {file: 3}}\n", ["2:16: policies.p.file: must be a path"]),
        ("servers: {a: {url: 'http://h'}}\nstate: 2001-01-01\n", ["2:1: state: must be a path"]),
    ],
)  # fmt: skip
def test_load_bad_file_tells_the_place_and_what_is_wrong(
    text: str, expected: list[str], problems: Callable[..., list[str]]
) -> None:
    assert [problem.strip() for problem in problems(text)] == expected


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("{}", "servers.a: must have one of command, image and url (command: [npx, -y, some-server])"),
        ("{command: [x], url: 'http://h'}",
         "servers.a: must have one of command, image and url (command: [npx, -y, some-server])"),
        ("{command: npx}", "servers.a.command: must be a list (for example [npx, -y, some-server])"),
        ("{command: []}", "servers.a.command: must not be empty"),
        ("{command: [1]}", "servers.a.command.0: must be text (put it in quotes)"),
        ("{command: ['']}", "servers.a.command.0: must not be empty"),
        ("{command: [x], headers: {A: b}}", "servers.a.headers: are sent to a url; a command takes env"),
        ("{command: [x], transport: sse}", "servers.a.transport: is for a url; a command is spoken to over stdio"),
        ("{url: 'http://h', env: {A: b}}", "servers.a.env: is for a command; a url takes headers"),
        ("{url: 'http://h', cwd: x}", "servers.a.cwd: is for a command; a url takes headers"),
        ('{command: ["a\\0b"]}', "servers.a.command.0: is not what belongs here"),
        ('{command: [x], env: {A: "\\0"}}', "servers.a.env.A: is not what belongs here"),
        ('{command: [x], cwd: "a\\0b"}', "servers.a.cwd: must be a path"),
        ("{command: [x], env: {A: 1}}", "servers.a.env.A: must be text (put it in quotes)"),
        ("{url: 'ftp://h'}", "servers.a.url: must be an http:// or https:// URL"),
        ("{url: 'http://'}", "servers.a.url: must be an http:// or https:// URL"),
        ("{url: 'http://h:x'}", "servers.a.url: must be an http:// or https:// URL"),
        ("{url: 'http://[h'}", "servers.a.url: must be an http:// or https:// URL"),
        ("{url: 'http://h/a b'}", "servers.a.url: must be an http:// or https:// URL"),
        ("{url: 'http://ä/'}", "servers.a.url: must be an http:// or https:// URL"),
        ("{url: 'http://h#x'}", "servers.a.url: must not have a fragment (#…)"),
        ("{url: 'http://u:secret@h'}",
         "servers.a.url: must not hold credentials; put them into headers, as {env: NAME} or {file: PATH}"),
        ("{url: 'http://h', headers: {Host: x}}", "servers.a.headers: Host is the gateway's own to set"),
        ("{url: 'http://h', headers: {Mcp-Param-X: x}}", "servers.a.headers: Mcp-Param-X is the gateway's own to set"),
        ("{url: 'http://h', headers: {'a b': x}}",
         "servers.a.headers: a header's name may hold letters, digits and - only"),
        ("{url: 'http://h', headers: {A: x, a: y}}",
         "servers.a.headers: one header is given twice; upper and lower case are the same"),
        ("{url: 'http://h', headers: {A: 1}}", "servers.a.headers.A: must be text, or one of env: NAME and file: PATH"),
        ("{url: 'http://h', headers: {A: {env: X, file: Y}}}",
         "servers.a.headers.A: must be text, or one of env: NAME and file: PATH"),
    ],
)  # fmt: skip
def test_load_bad_server_says_what_it_needs(server: str, expected: str, problems: Callable[..., list[str]]) -> None:
    (found,) = problems(f"servers:\n  a: {server}\n")
    assert found.split(": ", 1)[1] == expected
    assert "secret" not in found


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        ("{server: gti, policy: careful, token_env: T}",
         "grants.x.server: there is no server of that name (did you mean git?)"),
        ("{server: git, policy: other, token_env: T}", "grants.x.policy: there is no policy of that name"),
        ("{server: git, token_env: T}", "grants.x.policy: is required"),
        ("{server: git, policy: careful}", "grants.x: must have one of token_env, token_file and token_sha256"),
        ("{server: git, policy: null, token_env: T, token_file: f}",
         "grants.x: must have one of token_env, token_file and token_sha256"),
        ("{server: git, policy: careful, token_file: '~nobody-here/x'}",
         "grants.x.token_file: begins with a home folder that does not exist"),
        ("{server: git, policy: careful, token_sha256: abc}", "grants.x.token_sha256: is not what belongs here"),
    ],
)  # fmt: skip
def test_load_bad_grant_says_what_it_needs(grant: str, expected: str, problems: Callable[..., list[str]]) -> None:
    text = "servers: {git: {command: [x]}}\npolicies: {careful: {file: p}}\ngrants:\n"
    (found,) = problems(f"{text}  x: {grant}\n")
    assert found.split(": ", 1)[1] == expected


def test_load_two_grants_of_one_token_are_told(problems: Callable[..., list[str]]) -> None:
    grants = "  x: {server: git, policy: null, token_env: T}\n  y: {server: git, policy: null, token_env: T}\n"
    found = problems(f"servers: {{git: {{command: [x]}}}}\ngrants:\n{grants}")
    assert found == ["4:34: grants.y.token_env: is the token of grant x already"]


def test_load_file_without_servers_says_so(problems: Callable[..., list[str]]) -> None:
    assert problems("listen_port: 1\n") == ["1:1: servers: is required"]


def test_load_many_mistakes_tells_all_in_the_order_of_the_file(problems: Callable[..., list[str]]) -> None:
    text = """\
    listen_prt: 1
    servers:
      git: {command: npx, tiemout: 3}
    grants:
      a: {server: got, policy: q, token_env: X}
    opa: {timeout_s: 90}
    """
    assert problems(text) == [
        "1:1: listen_prt: unknown setting (did you mean listen_port?)",
        "3:9: servers.git.command: must be a list (for example [npx, -y, some-server])",
        "3:23: servers.git.tiemout: unknown setting (did you mean timeout_s?)",
        "5:7: grants.a.server: there is no server of that name (did you mean git?)",
        "5:20: grants.a.policy: there is no policy of that name",
        "6:7: opa.timeout_s: must be 60 or less",
    ]


def test_load_bad_value_from_outside_is_told_by_its_own_name(problems: Callable[..., list[str]]) -> None:
    environ = {"REGATE_AUTH": "perhaps"}
    found = problems("servers: {a: {url: 'http://h'}}", Override("listen_port", 70000, "--listen"), environ=environ)
    assert sorted(found) == ["--listen: must be 65535 or less", "REGATE_AUTH: must be true or false"]


def test_load_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(SettingsRejected, match="cannot be read: no such file or directory"):
        load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    with pytest.raises(SettingsRejected, match="not UTF-8 text"):
        load(tmp_path / "latin.yaml")
    (tmp_path / "huge.yaml").write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(SettingsRejected, match="larger than 1 MiB"):
        load(tmp_path / "huge.yaml")


def test_build_problem_is_told_by_the_label_of_its_part() -> None:
    with pytest.raises(SettingsRejected) as raised:
        build({"servers": {"a": {"url": "x"}}, "opa": 3}, labels={("servers", "a", "url"): "--upstream"}, environ={})
    assert raised.value.problems == (
        "--upstream: must be an http:// or https:// URL",
        "opa: must be a mapping (name: value)",
    )


def test_build_takes_the_environment_too() -> None:
    settings = build({"servers": {"a": {"url": "http://h"}}}, environ={"REGATE_LISTEN_PORT": "0"})
    assert settings.listen_port == 0
