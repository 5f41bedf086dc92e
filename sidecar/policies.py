"""The policies in force, and what the operator and a client's owner are told of them. Fetches and translates nothing.

`FilePolicies` are made here from files; `DeliveredPolicies` come ready-made, as a bundle.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import structlog

import translator
from sidecar import policyfolder
from sidecar.health import PolicyState
from sidecar.settings.model import Settings
from sidecar.settings.sources import DEFAULT_APPROVAL_MAP

_log = structlog.get_logger("sidecar")


class Revised(Protocol):
    """A policy of a bundle, as far as this module looks at it."""

    @property
    def revision(self) -> str: ...


class Loaded(Protocol):
    """A bundle, as far as this module looks at it."""

    @property
    def data(self) -> bytes: ...

    @property
    def revision(self) -> str: ...

    @property
    def policies(self) -> Mapping[str, Revised]: ...


@dataclass(frozen=True, slots=True)
class Pinned:
    """A revision, or a bundle of them, that is only known by name. `data` is empty."""

    revision: str
    policies: Mapping[str, "Pinned"]
    data: bytes = b""

    @staticmethod
    def of(revisions: Mapping[str, str]) -> "Pinned":
        """What a bundle would say of these revisions, by policy."""
        return Pinned("", {policy: Pinned(revision, {}) for policy, revision in revisions.items()})


class Policies:
    """What OPA holds, and who is told when it changes."""

    def __init__(self) -> None:
        self.bundle: Loaded = translator.translate({})
        self.generation = 0
        self.problem = ""
        self.loaded_at: datetime | None = None
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> None:
        """From now on, `watcher` is called whenever OPA holds new policies."""
        self._watchers.append(watcher)

    def loaded(self, bundle: Loaded) -> None:
        """Notes that OPA holds this bundle: lists filtered before are filtered again."""
        self.bundle = bundle
        self.generation += 1
        self.problem = ""
        self.loaded_at = datetime.now(UTC)
        _log.info("The policies were loaded.", revision=bundle.revision)
        for watcher in self._watchers:
            watcher()

    def failed(self, error: Exception) -> None:
        """Notes why the policies as they are now are not in force."""
        self.problem = str(error)
        held = "the last good ones are" if self.bundle.policies else "there are no others, and every call is denied"
        _log.error(f"The policies as they are now are not in force; {held}.", problem=self.problem)

    def states(self) -> list[PolicyState]:
        """Each policy's revision, for the operator."""
        raise NotImplementedError

    def explain(self, policy: str | None, tool: str) -> str:
        """What a policy does with a tool, in a line."""
        raise NotImplementedError

    def approval_map(self, policy: str) -> tuple[str, ...]:
        """The texts of a policy that ask for a person."""
        raise NotImplementedError


class FilePolicies(Policies):
    """Policies made from the files that the settings name, or from those of a folder."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def files(self) -> dict[str, Path]:
        """The policies' files as they are now, by id. Raises: SettingsError (the folder cannot be read)."""
        if self._settings.policy_dir is not None:
            return policyfolder.files(self._settings.policy_dir.path)
        return {policy: bound.file for policy, bound in self._settings.policies.items()}

    def translate(self, texts: Mapping[str, bytes]) -> translator.Bundle:
        """The bundle of these policies. Raises: translator.PolicyRejected."""
        return translator.translate(texts, approval_map={policy: self.approval_map(policy) for policy in texts})

    def states(self) -> list[PolicyState]:
        """Each policy's revision, for the operator."""
        found = [
            PolicyState(policy, self._place(policy), compiled.revision, self.problem)
            for policy, compiled in self.bundle.policies.items()
        ]
        if self._settings.policy_dir is not None:
            place = str(self._settings.policy_dir.path.absolute())
            found += _missing(self._settings, self.bundle.policies, place, "there is no such file")
        return found

    def _place(self, policy: str) -> str:
        folder = self._settings.policy_dir
        file = self._settings.policies[policy].file if folder is None else folder.path / f"{policy}.json"
        return str(file.absolute())

    def explain(self, policy: str | None, tool: str) -> str:
        """What a policy does with a tool, in a line."""
        if policy is None:
            return "denied: the grant has no policy"
        compiled = self.bundle.policies.get(policy)
        if not isinstance(compiled, translator.Compiled):
            return f"denied: there is no policy {policy}"
        return translator.explain(compiled.program, tool)

    def approval_map(self, policy: str) -> tuple[str, ...]:
        """The texts of a policy that ask for a person."""
        folder = self._settings.policy_dir
        return self._settings.policies[policy].approval_map if folder is None else folder.approval_map


class DeliveredPolicies(Policies):
    """Policies of a bundle that was made elsewhere; `place` is where it comes from."""

    def __init__(self, settings: Settings, place: str) -> None:
        super().__init__()
        self._settings = settings
        self._place = place

    def states(self) -> list[PolicyState]:
        """Each policy's revision, and the policies that grants of the settings name and the bundle lacks."""
        found = [PolicyState(policy, self._place, held.revision) for policy, held in self.bundle.policies.items()]
        return [*found, *_missing(self._settings, self.bundle.policies, self._place, "the bundle does not have it")]

    def explain(self, policy: str | None, tool: str) -> str:  # noqa: ARG002 - what it does with it, only OPA knows
        """Whether the bundle has the policy: what it means is not known here."""
        if policy is None:
            return "denied: the grant has no policy"
        if not self.bundle.policies:
            return "denied: there is no bundle yet"
        return "as the bundle says" if policy in self.bundle.policies else f"denied: the bundle has no policy {policy}"

    def approval_map(self, policy: str) -> tuple[str, ...]:  # noqa: ARG002 - it went into the bundle when it was made
        """The texts that ask for a person, where nothing else was said."""
        return DEFAULT_APPROVAL_MAP


def _missing(settings: Settings, held: Collection[str], place: str, problem: str) -> list[PolicyState]:
    """The policies that the settings name and that are not held."""
    rules = settings.oauth.rules if settings.oauth is not None else ()
    named = {grant.policy or "" for grant in settings.grants.values()} | {rule.policy or "" for rule in rules}
    return [PolicyState(policy, place, "", problem) for policy in sorted(named.difference(held, [""]))]
