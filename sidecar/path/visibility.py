"""Which tools of a list a grant may see. Every message from an upstream passes here before a client gets it.

Imports core, ports and errors; no adapter.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.core import listing
from sidecar.core.inventory import Inventory
from sidecar.core.query import Asker
from sidecar.errors import DecisionUndefined
from sidecar.ports import DecisionPoint, Grant

_CACHED_GRANTS = 16
_CACHED_PAGES = 4
_CACHED_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Around:
    """A message cut at its own id: the same list asked again differs in nothing else."""

    before: bytes
    after: bytes

    def holds(self, data: bytes, id_raw: bytes) -> bool:
        return (
            len(data) == len(self.before) + len(id_raw) + len(self.after)
            and data.startswith(self.before)
            and data.endswith(self.after)
            and data.startswith(id_raw, len(self.before))
        )


@dataclass(frozen=True, slots=True)
class _Filtered:
    generation: int
    upstream: _Around
    downstream: _Around


class Visibility:
    """Filters tool lists of one server, and learns what that server advertises.

    `generation` changes whenever a policy does: a list filtered before is then filtered again. What is kept of lists
    is bounded: 16 grants, four pages each, a page of 1 MiB at most.
    """

    def __init__(
        self, decisions: DecisionPoint, inventory: Inventory, *, generation: Callable[[], int], ttl_cap_ms: int
    ) -> None:
        self._decisions = decisions
        self._inventory = inventory
        self._generation = generation
        self._ttl_cap_ms = ttl_cap_ms
        self._cache: OrderedDict[tuple[Grant, bool], list[_Filtered]] = OrderedDict()

    def at_once(self, data: bytes, grant: Grant, *, modern: bool, id_raw: bytes | None) -> bytes | None:
        """What `guard` would say where nobody has to be asked: there are no tools in it, or the list is known."""
        if self._cache and id_raw is not None:
            known = self._known((grant, modern), data, id_raw)
            if known is not None:
                return known
        return None if listing.may_list(data) else data

    async def guard(self, data: bytes, grant: Grant, asker: Asker, *, modern: bool, id_raw: bytes | None) -> bytes:
        """The message as this grant may see it; `id_raw` is the id of the list request it answers, if known.

        Raises: DecisionError (OPA does not say what is visible), Broken (a list that cannot be read).
        Source: mcp-gateway.md G26, G27.
        """
        at_once = self.at_once(data, grant, modern=modern, id_raw=id_raw)
        if at_once is not None:
            return at_once
        return await self.filtered(data, grant, asker, modern=modern, id_raw=id_raw)

    async def filtered(self, data: bytes, grant: Grant, asker: Asker, *, modern: bool, id_raw: bytes | None) -> bytes:
        """`guard` for what it is not known of `at_once`. Raises: DecisionError, Broken."""
        found = listing.read(data)
        if found is None:
            return data
        self._inventory.learn(found)
        generation = self._generation()
        seen = await self._decisions.visible(asker.visible(found.names))
        if grant.policy is not None and not seen.revision:
            raise DecisionUndefined("OPA does not hold this grant's policy.")
        filtered = found.filtered(frozenset(seen.names), modern=modern, ttl_cap_ms=self._ttl_cap_ms)
        if id_raw is not None and len(data) <= _CACHED_BYTES:
            self._keep((grant, modern), generation, data, filtered, id_raw)
        return filtered

    def _known(self, key: tuple[Grant, bool], data: bytes, id_raw: bytes) -> bytes | None:
        generation = self._generation()
        for entry in self._cache.get(key, ()):
            if entry.generation == generation and entry.upstream.holds(data, id_raw):
                self._cache.move_to_end(key)
                return b"%b%b%b" % (entry.downstream.before, id_raw, entry.downstream.after)
        return None

    def _keep(self, key: tuple[Grant, bool], generation: int, data: bytes, filtered: bytes, id_raw: bytes) -> None:
        upstream, downstream = _cut(data, id_raw), _cut(filtered, id_raw)
        if upstream is None or downstream is None:
            return
        pages = [entry for entry in self._cache.pop(key, []) if entry.generation == generation]
        self._cache[key] = [*pages, _Filtered(generation, upstream, downstream)][-_CACHED_PAGES:]
        while len(self._cache) > _CACHED_GRANTS:
            self._cache.popitem(last=False)


def _cut(data: bytes, id_raw: bytes) -> _Around | None:
    """The message around its own id, where that is sure to be the envelope's: right at its start or its end."""
    quoted = re.escape(id_raw)
    first = re.match(rb'\{ ?"jsonrpc": ?"2\.0", ?"id": ?(' + quoted + rb")[,}]", data)
    if first is not None:
        return _Around(data[: first.start(1)], data[first.end(1) :])
    last = re.search(
        rb'\},(?:"jsonrpc":"2\.0",)?"id":(' + quoted + rb')(?:,"jsonrpc":"2\.0")?\}$', data[-len(id_raw) - 64 :]
    )
    if last is None:
        return None
    start = max(0, len(data) - len(id_raw) - 64)
    return _Around(data[: start + last.start(1)], data[start + last.end(1) :])
