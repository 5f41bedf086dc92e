"""An OPA that somebody else runs and gives its policies: asked, and believed only where it names the right revision.

It cannot be given a bundle from here, nor be looked into: it is trusted to evaluate the bundle that it names.
"""

import re
from collections.abc import Awaitable, Mapping

import msgspec

from sidecar.core.decision import Decision
from sidecar.errors import DecisionOffShape
from sidecar.opa.bundles import Built
from sidecar.opa.client import OpaClient
from sidecar.opa.process import revisions
from sidecar.ports import Visible

_POLICY = re.compile(rb'\{"policy":(null|"(?:[^"\\]|\\.)*")[,}]')


class WrongRevision(DecisionOffShape):
    """OPA decided by other policies than those expected."""

    code = "wrong_revision"
    hint = "Give OPA the bundle that the gateway expects; `regate status` names its revisions."


class ForeignOpa:
    """The decision point, and what stands in for publishing: from then on, those revisions are expected."""

    restarts = 0

    def __init__(self, name: str, client: OpaClient) -> None:
        self.name = name
        self.client = client
        self._expected: Mapping[str, str] = {}

    def place(self, bundle: Built) -> None:
        """From now on, decisions must name the revisions of this bundle."""
        self._expected = {policy: held.revision for policy, held in bundle.policies.items()}

    async def publish(self, bundle: Built) -> None:
        """As `place`. OPA is not waited for: until it has the bundle too, calls are denied."""
        self.place(bundle)

    publish_examined = publish

    async def start(self) -> None:
        """Nothing is to be started; whether OPA answers, `/readyz` says."""

    async def held(self) -> dict[str, str]:
        """The policies that OPA holds, id → revision. Raises: DecisionError."""
        return await revisions(self.client.ask)

    def decide(self, query: bytes) -> Awaitable[Decision]:
        """The decision on one query. Raises: DecisionError, also where another revision decided."""
        return self._decide(query)

    async def _decide(self, query: bytes) -> Decision:
        decision = await self.client.decide(query)
        self._compare(query, decision.revision)
        return decision

    async def visible(self, query: bytes) -> Visible:
        """The visible names of one list query. Raises: as `decide`."""
        visible = await self.client.visible(query)
        self._compare(query, visible.revision)
        return visible

    def _compare(self, query: bytes, revision: str) -> None:
        """Without a policy nothing is allowed, and no revision is named."""
        policy = _policy(query)
        wanted = "" if policy is None else self._expected.get(policy)
        if wanted is None:
            raise WrongRevision(f"No revision is expected of policy {policy!r}.")
        if revision != wanted:
            raise WrongRevision(f"OPA decided by revision {revision[:100]!r} of policy {policy!r}, not by {wanted!r}.")

    async def close(self) -> None:
        """Lets go of OPA, which goes on."""
        await self.client.close()


def _policy(query: bytes) -> str | None:
    """The policy that a query asks about (`core.query` writes it first)."""
    found = _POLICY.match(query)
    if found is None:
        raise DecisionOffShape("The query does not name a policy.")
    return msgspec.json.decode(found[1], type=str | None)
