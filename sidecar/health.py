"""Whether the gateway can serve, and what it says of itself. Pure: what is the case is given, nothing is asked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class PolicyState:
    """One policy: the revision made from its file (None: the file is rejected and none was ever good).

    The revision is empty where there is no such policy; `problem` says why. Else `problem` is why the file as it stands
    now is not in force; then an older revision is.
    """

    id: str
    file: str
    revision: str | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SourceState:
    """Where bundles come from, and the one in force. `age_s`: since the source last had nothing newer.

    `problem` is why what the source has now is not in force; `stale` why no call may be decided at all.
    """

    name: str
    revision: str | None
    serial: int | None = None
    commit: str = ""
    age_s: float | None = None
    max_age_s: float | None = None
    problem: str = ""
    stale: str = ""

    def document(self) -> dict[str, Any]:
        """Its part of `/status`."""
        return {
            "source": self.name,
            "revision": self.revision,
            "serial": self.serial,
            "commit": self.commit,
            "age_s": None if self.age_s is None else round(self.age_s),
            "max_policy_age_s": self.max_age_s,
            "problem": self.problem,
            "in_force": not self.stale,
        }


@dataclass(frozen=True, slots=True)
class ServerState:
    """One server behind the gateway, and why it cannot be reached, if so."""

    name: str
    transport: Literal["stdio", "http"]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """What readiness hangs on. `opa` holds the revisions that OPA says it has, or is None while it is silent.

    `silent` are servers beside the gateway that do not listen, a line for each, where that was asked.
    """

    policies: Sequence[PolicyState]
    opa: Mapping[str, str] | None
    store_problem: str = ""
    audit_healthy: bool = True
    stopping: bool = False
    source: SourceState | None = None
    silent: Sequence[str] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why calls cannot be judged and counted; empty when the gateway is ready."""
        return tuple(self._reasons())

    @property
    def ready(self) -> bool:
        """Can every call be judged, counted and recorded?"""
        return not self.reasons

    def _reasons(self) -> Iterator[str]:
        if self.stopping:
            yield "the gateway is stopping"
        if self.source is not None and self.source.stale:
            yield self.source.stale
        if self.opa is None:
            yield "OPA does not answer"
        else:
            for policy in self.policies:
                yield from _missing(policy, self.opa)
        if self.store_problem:
            yield f"the store cannot be written: {self.store_problem}"
        if not self.audit_healthy:
            yield "the audit log cannot be written"
        yield from self.silent

    def document(self) -> dict[str, Any]:
        """The body of `/readyz`."""
        return {"ready": self.ready, "reasons": list(self.reasons)}


def _missing(policy: PolicyState, held: Mapping[str, str]) -> Iterator[str]:
    if policy.revision is None:
        yield f"policy {policy.id} was rejected"
    elif policy.id not in held:
        yield f"OPA does not hold policy {policy.id}{f': {policy.problem}' if not policy.revision else ''}"
    elif held[policy.id] != policy.revision:
        yield f"OPA holds another revision of policy {policy.id}"


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificate in use, and why the files as they are now are not."""

    expires_at: datetime
    problem: str = ""

    def problem_at(self, now: datetime) -> str:
        """What the operator should know of it."""
        return self.problem or ("the certificate has expired" if self.expires_at <= now else "")


@dataclass(frozen=True, slots=True)
class About:
    """The process itself."""

    version: str
    pid: int
    url: str
    started: datetime
    state: str
    opa_binary: str
    opa_restarts: int = 0
    tls: Tls | None = None


def status(
    health: Health, about: About, servers: Sequence[ServerState], calls: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """The body of `/status`: servers, policies and their revisions, OPA, store, and the calls so far.

    Shape: calls is `telemetry.Tally.document()`.
    """
    return {
        **health.document(),
        "version": about.version,
        "pid": about.pid,
        "url": about.url,
        "tls": None
        if about.tls is None
        else {"expires_at": about.tls.expires_at.isoformat(), "problem": about.tls.problem_at(now)},
        "up_s": int((now - about.started).total_seconds()),
        "servers": [{"name": s.name, "transport": s.transport, "problem": s.problem} for s in servers],
        "policies": [
            {
                "id": policy.id,
                "file": policy.file,
                "revision": policy.revision,
                "held": (health.opa or {}).get(policy.id),
                "problem": policy.problem,
            }
            for policy in health.policies
        ],
        "bundle": health.source.document() if health.source is not None else None,
        "opa": {"answers": health.opa is not None, "binary": about.opa_binary, "restarts": about.opa_restarts},
        "store": {
            "folder": about.state,
            "writable": not health.store_problem,
            "problem": health.store_problem,
            "audit": health.audit_healthy,
        },
        "calls": dict(calls),
    }
