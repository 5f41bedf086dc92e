"""The policies in force: made from their files, and what the operator and a client's owner are told of them."""

from collections.abc import Callable, Mapping

import structlog

import translator
from sidecar.health import PolicyState
from sidecar.settings import Settings

_log = structlog.get_logger("sidecar")


class Policies:
    """The policies in force: made from their files, published to OPA, and made again when a file changes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._maps = {policy: bound.approval_map for policy, bound in settings.policies.items()}
        self.files = {policy: bound.file for policy, bound in settings.policies.items()}
        self.bundle = translator.translate({})
        self.generation = 0
        self.problem = ""
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> None:
        """From now on, `watcher` is called whenever OPA holds new policies."""
        self._watchers.append(watcher)

    def translate(self, texts: Mapping[str, bytes]) -> translator.Bundle:
        """The bundle of these policies. Raises: translator.PolicyRejected."""
        return translator.translate(texts, approval_map=self._maps)

    def loaded(self, bundle: translator.Bundle) -> None:
        """Notes that OPA holds this bundle: lists filtered before are filtered again."""
        self.bundle = bundle
        self.generation += 1
        self.problem = ""
        _log.info("The policies were loaded.", revision=bundle.revision)
        for watcher in self._watchers:
            watcher()

    def failed(self, error: Exception) -> None:
        """Notes why the files as they are now are not in force."""
        self.problem = str(error)
        _log.error("The policies as they are now are not in force; the last good ones are.", problem=self.problem)

    def states(self) -> list[PolicyState]:
        """Each policy's revision, for the operator."""
        return [
            PolicyState(policy, str(file.absolute()), self.bundle.policies[policy].revision, self.problem)
            for policy, file in self.files.items()
        ]

    def explain(self, policy: str | None, tool: str) -> str:
        """What a policy does with a tool, in a line."""
        if policy is None:
            return "denied: the grant has no policy"
        return translator.explain(self.bundle.policies[policy].program, tool)
