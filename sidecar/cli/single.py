"""The flags of `run` and `stdio` → the settings of a gateway with one server, one policy and one grant."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from sidecar.cli.binding import ApprovalBy, HiddenCalls, ListOf, Policed
from sidecar.cli.images import ImageFlags
from sidecar.cli.terminal import refuse

if TYPE_CHECKING:
    from sidecar.settings.file import Override
    from sidecar.settings.model import Settings

_LAUNCHERS = frozenset(
    [
        "npx",
        "bunx",
        "uvx",
        "uv",
        "pipx",
        "run",
        "node",
        "deno",
        "bun",
        "docker",
        "python",
        "python3",
        "sh",
        "bash",
        "env",
    ]
)
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

PolicyOption = Annotated[
    Path, typer.Option("--policy", metavar="FILE", exists=True, dir_okay=False, help="The policy.json to enforce.")
]
NameOption = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="What to call the server.  [default: taken from the command or URL]"),
]
UpstreamOption = Annotated[
    str | None,
    typer.Option("--upstream", metavar="URL", help="The MCP server to govern, if it is spoken to over HTTP."),
]
HeaderOption = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        metavar="TEXT",
        help="Header for the URL: 'Name: env:VARIABLE' or 'Name: file:PATH'. May be repeated.",
    ),
]
EnvOption = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="K=V",
        help="Environment variable for the command or image; K alone: as it is here. May be repeated.",
    ),
]
ApprovalMapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--approval-map",
        metavar="TEXT",
        help="Text of an unconditional denial that a person may lift for one call. May be repeated; '' for none."
        '  [default: "Requires human approval."]',
    ),
]


@dataclass(frozen=True, slots=True)
class Single:
    """One server under one policy, as given on the command line."""

    policy: Path
    command: Sequence[str] = ()
    upstream: str | None = None
    name: str | None = None
    env: Sequence[str] = ()
    headers: Sequence[str] = ()
    approval_map: Sequence[str] | None = None
    state: Path = field(default_factory=Path)
    list_of: ListOf = ListOf.hidden
    policed_methods: Policed = Policed.tools
    hidden_calls: HiddenCalls = HiddenCalls.denied
    approval: ApprovalBy = ApprovalBy.later
    container: ImageFlags = field(default_factory=ImageFlags)

    @property
    def server(self) -> str:
        """What the server is called, in its URL and in the audit log."""
        return (
            self.name
            if self.name is not None
            else suggested_name([self.container.image] if self.container.image else self.command, self.upstream)
        )

    def settings(self, kind: str, overrides: Sequence["Override"] = ()) -> "Settings":
        """The settings of this gateway; its one grant is `<kind>-<server>`. Raises: Usage."""
        from sidecar import statedir
        from sidecar.settings.file import Override, SettingsRejected, build

        server = self.server
        tree = {
            "servers": {server: self._server()},
            "policies": {_id(self.policy): self._policy()},
            "grants": {
                f"{kind}-{server}": {
                    "server": server,
                    "policy": _id(self.policy),
                    "list": self.list_of.value,
                    "policed_methods": self.policed_methods.value,
                    "hidden_calls": self.hidden_calls.value,
                    "approval": self.approval.value,
                    "token_file": statedir.run_token_file(self.state, server),
                }
            },
        }
        labels: dict[tuple[str | int, ...], str] = {
            ("servers", server): "--name",
            ("grants",): "--name",
            ("servers", server, "url"): "--upstream",
            ("servers", server, "headers"): "--header",
            ("servers", server, "env"): "--env",
            ("servers", server, "command"): "COMMAND",
            ("servers", server, "image"): "--image",
            ("servers", server, "container", "network"): "--network",
            ("servers", server, "container", "mounts"): "--mount",
            ("servers", server, "container", "user"): "--user",
        }
        try:
            return build(tree, [*overrides, Override("state", str(self.state), "--state")], labels=labels)
        except SettingsRejected as error:
            refuse("; ".join(error.problems))

    def stdio_arguments(self) -> list[str]:
        """The `regate stdio` arguments that make the same gateway from any folder."""
        options = ["--policy", str(self.policy.absolute()), "--state", str(self.state), "--name", self.server]
        for variable in self.env:
            options += ["--env", variable]
        for text in self.approval_map or ():
            options += ["--approval-map", text]
        bound = (
            ("--list", self.list_of, ListOf.hidden),
            ("--policed-methods", self.policed_methods, Policed.tools),
            ("--hidden-calls", self.hidden_calls, HiddenCalls.denied),
            ("--approval", self.approval, ApprovalBy.later),
        )
        for option, chosen, usual in bound:
            if chosen != usual:
                options += [option, chosen.value]
        if self.upstream:
            headers = [part for text in self.headers for part in ("--header", _header_from_anywhere(text))]
            return ["stdio", *options, *headers, "--upstream", self.upstream]
        if self.container.image:
            options += [*self.container.arguments(), *(["--"] if self.command else [])]
            return ["stdio", *options, *self.command]
        program, *arguments = command_line(self.command)
        return ["stdio", *options, "--", program, *map(_from_anywhere, arguments)]

    def check(self) -> None:
        """Raises: SidecarError where the program, Docker or the image is missing."""
        if self.container.image:
            self.container.check()
        elif self.command:
            command_line(self.command)

    def _server(self) -> dict[str, Any]:
        image = self.container.image
        if bool(self.command or image) == bool(self.upstream):
            refuse("name one server: `-- COMMAND ...` at the end, --image IMAGE, or --upstream URL")
        if not image:
            self.container.refuse_alone()
        if self.upstream:
            if self.env:
                refuse("--env is for a command; a URL takes --header")
            return {"url": self.upstream, "headers": dict(map(_header, self.headers))}
        if self.headers:
            refuse("--header is for --upstream; a command takes --env")
        if image:
            return self.container.server(self.command, self.env)
        return {"command": list(self.command), "env": dict(map(_variable, self.env))}

    def _policy(self) -> dict[str, Any]:
        policy: dict[str, Any] = {"file": self.policy.absolute()}
        if self.approval_map is not None:
            policy["approval_map"] = [text for text in self.approval_map if text]
        return policy


def suggested_name(command: Sequence[str], upstream: str | None) -> str:
    """A name for a server: the package or program that the command starts, or the URL's host."""
    if upstream:
        try:
            words = [urlsplit(upstream).hostname or ""]
        except ValueError:
            words = []
    else:
        words = [Path(word).name for word in command if not word.startswith("-")]
        words = [word for word in words if word not in _LAUNCHERS]
    for word in words:
        plain = re.sub(r"(\.(py|js|mjs|cjs|ts|sh)$)|(?<=.)@.*", "", word)
        name = "-".join(_NAME.findall(plain))[:64].strip("-")
        if name:
            return name
    return "server"


def command_line(command: Sequence[str]) -> list[str]:
    """The command with its program found. Raises: SettingsError when there is no such program."""
    from sidecar.errors import SettingsError

    program = shutil.which(command[0])
    if program is None:
        raise SettingsError(f"command not found: {command[0]}", hint="Give its full path, or put its folder on PATH.")
    return [str(Path(program).absolute()), *command[1:]]


def _from_anywhere(argument: str) -> str:
    """An argument that is a path from here, made one from everywhere."""
    path = Path(argument)
    return str(path.absolute()) if ("/" in argument or "." in argument) and path.exists() else argument


def _id(policy: Path) -> str:
    return "-".join(re.findall(r"[A-Za-z0-9_.-]+", policy.stem))[:64] or "policy"


def _variable(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or _VARIABLE.fullmatch(name) is None or "\0" in value:
        refuse("--env: must be NAME=VALUE")
    return name, value


def _header_from_anywhere(text: str) -> str:
    """A header whose value is in a file, named so that it is found from everywhere."""
    name, source = _header(text)
    return f"{name}: file:{Path(source['file']).absolute()}" if "file" in source else text


def _header(text: str) -> tuple[str, dict[str, str]]:
    name, sign, source = text.partition(":")
    kind, colon, where = source.strip().partition(":")
    if not sign or not colon or kind not in ("env", "file") or not where:
        refuse("--header: must be 'Name: env:VARIABLE' or 'Name: file:PATH' (a value here would show in `ps`)")
    return name.strip(), {kind: where}
