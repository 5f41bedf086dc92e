"""Whatever is forwarded, every reader takes for the very call that OPA was asked about. Source: G1–G6, G10–G14, G54.

`--mutants` says how many messages are tried, `--fuzz-seed` which.
"""

import asyncio
import json
import logging
import resource
import time
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from sidecar.core.decision import Decision
from sidecar.core.inventory import Inventory
from sidecar.core.query import Asker
from sidecar.errors import SidecarError
from sidecar.path.exchange import Exchange
from sidecar.path.judgement import Caller, Judgement
from sidecar.path.relay import Relay
from sidecar.path.visibility import Visibility
from sidecar.ports import Grant, Outgoing, Reply
from tests.bypass import readers
from tests.bypass.conftest import Scene, listing
from tests.bypass.mutants import Mutants
from tests.fakes import ALLOWED, FakeApprovals, FakeAudit, FakeClock, FakeCounters, FakeDecisionPoint, FakeUpstream

FEW = 12_000
BATCH = 5_000
LIVE = 600
BUSY_S = 2
"""The most that one message may take of a processor: seldom is it a millisecond."""
PATIENCE_S = 60
REFUSALS = {200, 202, 400, 404}
FAULT = Decision("deny", "(arguments)", "no", "sha256:one", ())
logger = logging.getLogger(__name__)


class Asked(FakeDecisionPoint):
    """Allows whatever has no fault of its own, as the most generous policy would."""

    async def decide(self, query: bytes) -> Decision:
        self.queries.append(query)
        return FAULT if b'"args_fault":' in query and "args_fault" in json.loads(query) else ALLOWED


class Bench:
    """The gateway's whole path of a message, from its bytes and headers to the bytes that go on."""

    def __init__(self) -> None:
        self.opa = Asked()
        self.upstream = FakeUpstream(replies=[Reply(202, body=b"")])
        self.audit = FakeAudit()
        inventory = Inventory()
        inventory.learn(json.dumps(listing(1)).encode())
        visibility = Visibility(self.opa, inventory, generation=lambda: 1, ttl_cap_ms=1000)
        self.exchange = Exchange(
            self.upstream,
            Judgement(self.opa, FakeCounters(), FakeApprovals()),
            Relay(visibility, self.warned),
            inventory,
            self.audit,
            FakeClock(),
            warn=self.warned,
        )
        self.caller = Caller(Grant("g", "s", "p"), Asker(policy="p", server="s", grant="g"))

    def warned(self, error: SidecarError) -> None:
        """What is refused is told; here nobody listens."""

    async def send(self, body: bytes, headers: dict[bytes, list[bytes]]) -> tuple[int, Outgoing | None, bytes | None]:
        """The status of the answer, what was forwarded, and what OPA was asked."""
        for kept in (self.opa.queries, self.opa.tape, self.upstream.sent, self.upstream.tape, self.audit.records):
            kept.clear()
        self.audit.tape.clear()
        reply = await self.exchange.handle(body, self.caller, headers)
        assert len(self.upstream.sent) <= 1
        assert len(self.opa.queries) <= 1
        sent, asked = self.upstream.sent, self.opa.queries
        return reply.status, sent[0] if sent else None, asked[0] if asked else None


def said(read: Any, names: tuple[str, str, str, str] = ("method", "params", "name", "arguments")) -> Any:
    """The method and, of a call, the tool and its arguments, as a reader has read them."""
    if not isinstance(read, dict):
        return "unreadable"
    method = read.get(names[0])
    if method != "tools/call":
        return method, None, None
    params = read.get(names[1])
    if not isinstance(params, dict):
        return "unreadable"
    return method, params.get(names[2]), params.get(names[3]) or {}


def policed(outgoing: Outgoing, query: bytes | None) -> Any:
    """The same as policy saw it."""
    if outgoing.method != "tools/call":
        return outgoing.method, None, None
    assert query is not None, "a call was forwarded that OPA was not asked about"
    document = readers.by_python(query)
    return "tools/call", document["tool"], document["args"]


def missed(body: bytes, expected: Any) -> list[str]:
    """The readers here that take a forwarded body for something else."""
    read = {"Python": readers.by_python(body), "msgspec": readers.by_msgspec(body)}
    wrong = [name for name, one in read.items() if said(one) != expected]
    lax = readers.by_lax(body)
    folded = readers.by_lax(json.dumps(expected[2]).encode()) if expected[2] else expected[2]
    return wrong if said(lax) == (expected[0], expected[1], folded) else [*wrong, "lax"]


def resident_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.timeout(3600)
async def test_readers_of_what_is_forwarded_read_what_opa_was_asked(pytestconfig: pytest.Config) -> None:
    total = pytestconfig.getoption("--mutants") or FEW
    mutants, bench, node = Mutants(pytestconfig.getoption("--fuzz-seed")), Bench(), readers.node()
    counted: Counter[str] = Counter()
    resident = 0
    for done in range(0, total, BATCH):
        forwarded: list[tuple[bytes, Any]] = []
        for _ in range(min(BATCH, total - done)):
            body, headers = mutants.next()
            begun = time.process_time()
            async with asyncio.timeout(PATIENCE_S):
                status, outgoing, query = await bench.send(body, headers)
            assert time.process_time() - begun < BUSY_S, (body, headers)
            assert status in REFUSALS, (status, body, headers)
            if outgoing is None:
                counted["refused"] += 1
                continue
            assert outgoing.raw == body
            expected = policed(outgoing, query)
            counted["calls" if query else "others"] += 1
            assert missed(body, expected) == [], (body, expected)
            forwarded.append((body, expected))
        if node is not None:
            for (body, expected), read in zip(forwarded, node.read([body for body, _ in forwarded]), strict=True):
                assert node.would_say(said(read)) == node.would_say(expected), body
            counted["read by Node"] += len(forwarded)
        resident = resident or resident_kb()
    logger.info("%d mutants: %s; %d kB more at the end", total, dict(counted), resident_kb() - resident)
    assert min(counted["refused"], counted["calls"], counted["others"]) > total / 20
    assert resident_kb() - resident < 64 * 1024


def test_bent_messages_over_http_call_nothing_that_policy_denies(
    scene: Scene, pytestconfig: pytest.Config, caplog: pytest.LogCaptureFixture
) -> None:
    """The same with a real OPA, over sockets: the server may see calls of allowed tools only, by anybody's reading."""
    caplog.set_level(logging.WARNING, "httpx")
    mutants = Mutants(pytestconfig.getoption("--fuzz-seed") + 1)
    usual = [(name.encode(), value.encode()) for name, value in scene.headers.items() if not name.startswith("mcp-")]
    for _ in range(LIVE):
        body, headers = mutants.next()
        pairs = [*usual, *((name, value) for name, values in headers.items() for value in values)]
        assert scene.client.post(scene.running.url, content=body, headers=pairs).status_code in REFUSALS, body
    called = []
    for seen in scene.rogue.seen:
        for reader in (readers.by_python, readers.by_msgspec, readers.by_lax):
            told = said(reader(seen.body))
            assert told != "unreadable", seen.body
            called += [told] if told[0] == "tools/call" else []
    assert {tool for _, tool, _ in called} == {"read", "pay"}
    amounts = [arguments["amount"] for _, tool, arguments in called if tool == "pay" and "amount" in arguments]
    assert amounts
    assert all(amount is None or Decimal(amount["#"]) <= 10 for amount in amounts)
    scene.unharmed()
