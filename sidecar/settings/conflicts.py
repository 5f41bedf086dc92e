"""What settings say of each other: one source of each thing, and only names that are there. No value is shown."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Way = tuple[str | int, ...]
"""The way to a setting: names of mappings and places in lists."""

NAMED = ("servers", "policies", "grants")
"""The settings that are mappings with names of the operator's own."""

_TOKEN_SOURCES = ("token_env", "token_file", "token_sha256")
_POLICY_SOURCES = ("policies", "policy_dir", "bundle")
_CREDENTIAL_SOURCES = ("env", "file", "command", "oauth")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the settings, and the way to it."""

    way: Way
    message: str
    hint: str = ""


def conflicts(given: Mapping[str, Any]) -> Iterator[Problem]:
    """The contradictions in settings as they were given, of whatever types they are."""
    servers, policies, grants = (_mapping(given.get(name)) for name in NAMED)
    yield from _policy_sources(given)
    known = _known_policies(given, policies)
    for name, server in servers.items():
        yield from _transport(("servers", name), _mapping(server))
    seen: dict[tuple[str, str], str] = {}
    for id_, entry in grants.items():
        grant = _mapping(entry)
        yield from _reference(("grants", id_, "server"), grant.get("server"), servers, "server")
        yield from _reference(("grants", id_, "policy"), grant.get("policy"), known, "policy")
        sources = [(source, str(grant[source])) for source in _TOKEN_SOURCES if grant.get(source) is not None]
        if len(sources) != 1:
            yield Problem(("grants", id_), "must have one of token_env, token_file and token_sha256")
        elif seen.setdefault(sources[0], id_) != id_:
            yield Problem(("grants", id_, sources[0][0]), f"is the token of grant {seen[sources[0]]} already")
    yield from _of_rules(_mapping(given.get("oauth")), servers, known, grants)


def _policy_sources(given: Mapping[str, Any]) -> Iterator[Problem]:
    opa = _mapping(given.get("opa"))
    sources = [name for name in _POLICY_SOURCES if given.get(name)]
    sources += ["opa.revisions"] if opa.get("revisions") else []
    for extra in sources[1:]:
        yield Problem(tuple(extra.split(".")), f"excludes {sources[0]}", "policies come from one of them")
    if opa.get("url") is None:
        for name in ("token", "ca_file", "revisions"):
            if opa.get(name):
                yield Problem(("opa", name), "is for an OPA of somebody else: url is missing")
    elif opa.get("binary") is not None:
        yield Problem(("opa", "binary"), "is not started when url is set")


def _known_policies(given: Mapping[str, Any], policies: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The policies that there are by these settings; None where only a folder or a bundle tells."""
    if given.get("policy_dir") or given.get("bundle"):
        return None
    return policies or _mapping(_mapping(given.get("opa")).get("revisions"))


def _of_rules(
    oauth: Mapping[str, Any], servers: Mapping[str, Any], policies: Mapping[str, Any] | None, grants: Mapping[str, Any]
) -> Iterator[Problem]:
    if oauth and (oauth.get("jwks_url") is None) == (oauth.get("jwks_file") is None):
        yield Problem(("oauth",), "must have one of jwks_url and jwks_file")
    rules = oauth.get("rules")
    of_server: dict[str, object] = {}
    for index, entry in enumerate(rules if isinstance(rules, list) else ()):
        rule, way = _mapping(entry), ("oauth", "rules", index)
        server, grant = rule.get("server"), rule.get("grant")
        yield from _reference((*way, "server"), server, servers, "server")
        yield from _reference((*way, "policy"), rule.get("policy"), policies, "policy")
        if isinstance(grant, str) and (grant in grants or of_server.setdefault(grant, server) != server):
            yield Problem((*way, "grant"), "there is another grant of that id")


def _transport(way: Way, server: Mapping[str, Any]) -> Iterator[Problem]:
    image, url = (server.get(name) is not None for name in ("image", "url"))
    command = server.get("command") is not None or image
    if command == url:
        yield Problem(way, "must have one of command, image and url", "command: [npx, -y, some-server]")
    elif command and server.get("headers"):
        yield Problem((*way, "headers"), "are sent to a url; a command takes env")
    elif command and server.get("transport"):
        yield Problem((*way, "transport"), "is for a url; a command is spoken to over stdio")
    elif command and server.get("credentials"):
        yield Problem((*way, "credentials"), "are sent to a url; a command takes env")
    elif image and server.get("cwd"):
        yield Problem((*way, "cwd"), "is for a command; an image has its own")
    elif server.get("container") and not image:
        yield Problem((*way, "container"), "is for an image")
    elif url:
        for name in ("env", "cwd"):
            if server.get(name):
                yield Problem((*way, name), "is for a command; a url takes headers")
        yield from _credential((*way, "credentials"), server)


def _credential(way: Way, server: Mapping[str, Any]) -> Iterator[Problem]:
    if server.get("credentials") is None:
        return
    given = _mapping(server["credentials"])
    if sum(given.get(source) is not None for source in _CREDENTIAL_SOURCES) != 1:
        yield Problem(way, "must have one of env, file, command and oauth")
    header = str(given.get("header") or "Authorization").lower()
    if any(str(name).lower() == header for name in _mapping(server.get("headers"))):
        yield Problem(way, "are sent in a header that headers sets as well")


def _reference(way: Way, name: object, known: Mapping[str, Any] | None, noun: str) -> Iterator[Problem]:
    if known is not None and isinstance(name, str) and name not in known:
        yield Problem(way, f"there is no {noun} of that name", near(name, list(known)))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def near(name: str, known: Sequence[str]) -> str:
    """A hint at the name that may have been meant."""
    matches = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {matches[0]}?" if matches else ""
