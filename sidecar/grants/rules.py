"""The claims of a token → the grant they give, by the operator's rules. Pure: the claims are verified already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sidecar.errors import InsufficientScope, UnknownGrant, WrongServer
from sidecar.ports import Grant

ID_CHARACTERS = 255
"""Source: OpenID Connect Core 1.0, section 2 (sub)."""

Value = bool | int | str


@dataclass(frozen=True, slots=True)
class Rule:
    """A token with these claims and scopes is good for a server under a policy.

    `claims` maps a name to the values of which one must be there. Without a `grant`, each value of `id_claim` has a
    grant of its own.
    """

    server: str
    policy: str | None
    claims: Mapping[str, Sequence[Value]]
    scope: frozenset[str]
    grant: str | None
    id_claim: str
    list: Literal["hidden", "callable"] = "hidden"
    policed_methods: Literal["tools", "all"] = "tools"
    hidden_calls: Literal["denied", "unknown"] = "denied"
    approval: Literal["later", "wait", "confirm"] = "later"


class Rules:
    """The rules, in the order in which they are tried."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)

    def grant(self, claims: Mapping[str, Any], server: str) -> Grant:
        """What the first rule gives that fits. Raises: InsufficientScope, WrongServer, UnknownGrant."""
        wanting: frozenset[str] | None = None
        held = _scopes(claims)
        for rule in self._rules:
            if rule.server != server or not all(_holds(claims, *wanted) for wanted in rule.claims.items()):
                continue
            if rule.scope <= held:
                how = (rule.list, rule.policed_methods, rule.hidden_calls, rule.approval)
                return Grant(rule.grant or _own(claims, rule), server, rule.policy, *how)
            wanting = rule.scope
        if wanting is not None:
            raise InsufficientScope("This token lacks a scope.", wanting)
        raise WrongServer("This token gives no right to this server.")

    def scope(self, server: str) -> frozenset[str]:
        """What a client should ask for: the scopes of the server's last rule, which asks for the least."""
        return next((rule.scope for rule in reversed(self._rules) if rule.server == server), frozenset())


def _own(claims: Mapping[str, Any], rule: Rule) -> str:
    """A grant's id that no grant of an operator can have, and that is another for every server."""
    value = _claim(claims, rule.id_claim)
    if not isinstance(value, str) or not 0 < len(value) <= ID_CHARACTERS or not value.isprintable():
        raise UnknownGrant(f"This token is not valid: its claim {rule.id_claim} does not tell whose it is.")
    return f"oauth:{rule.server}:{value}"


def _holds(claims: Mapping[str, Any], name: str, wanted: Sequence[Value]) -> bool:
    given = _claim(claims, name)
    values = given if isinstance(given, list) else [given]
    return any(type(value) is type(one) and value == one for value in values for one in wanted)


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its whole name, or by the way to it."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for step in name.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Source: RFC 8693, section 4.2 (scope); `scp`, text or a list, is what several servers write instead."""
    held: set[str] = set()
    for given in (claims.get("scope"), claims.get("scp")):
        if isinstance(given, str):
            held.update(given.split(" "))
        elif isinstance(given, list):
            held.update(scope for scope in given if isinstance(scope, str))
    return frozenset(held)
