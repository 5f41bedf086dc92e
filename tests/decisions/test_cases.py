"""The reference's case file through the real translator, a real OPA and the real counters.

Source: policy-semantics, section 13.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
import pytest
import pytest_asyncio

from sidecar.core.arguments import fault
from sidecar.core.decision import Decision
from sidecar.core.limits import claims, retry_at
from sidecar.core.query import Asker
from sidecar.counters.sqlite import SqliteCounters
from sidecar.database import open_database
from sidecar.http1 import Origin
from sidecar.opa.bundles import Publisher
from sidecar.opa.client import OpaClient
from sidecar.opa.process import OpaProcess, runtime_directory
from sidecar.ports import Refused
from translator.bundle import build
from translator.compile import compile_policy
from translator.errors import PolicyRejected

CASES = Path(__file__).parent / "cases"
SERVER = "s1"


class Call(msgspec.Struct, forbid_unknown_fields=True):
    tool: str
    at: str
    grant: str
    session: str | None = None
    arguments: msgspec.Raw = msgspec.Raw(b"{}")
    arguments_raw: str | None = None
    upstream: Literal["ok", "error", "tool_error"] = "ok"
    approval: Literal["granted", "refused", "expired"] | None = None

    def arguments_text(self) -> bytes:
        raw = bytes(self.arguments) if self.arguments_raw is None else self.arguments_raw.encode()
        return b"{}" if raw == b"null" else raw


class Expected(msgspec.Struct, forbid_unknown_fields=True):
    outcome: str
    rule: str = ""
    message: str = ""
    retry_at: str | msgspec.UnsetType | None = msgspec.UNSET
    at: str = ""


class Listing(msgspec.Struct, forbid_unknown_fields=True):
    upstream: list[str]
    visible: list[str]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    approval_map: tuple[str, ...] = ()


class Case(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    title: str
    basis: Literal["docs", "seed", "intercept", "choice"]
    expect: list[Expected]
    policy: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    policy_text: str | None = None
    dialect: Literal["json", "intercept-yaml", "rules-yaml"] = "json"
    options: Options = Options()
    calls: list[Call] = []
    listing: Listing | None = msgspec.field(default=None, name="list")

    def text(self) -> bytes | None:
        """The policy as written, or None when the grant has none."""
        if self.policy_text is not None:
            return self.policy_text.encode()
        assert isinstance(self.policy, msgspec.Raw)
        return None if bytes(self.policy) == b"null" else bytes(self.policy)


def read() -> Iterator[Case]:
    decoder = msgspec.json.Decoder(Case)
    for path in sorted(CASES.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            yield decoder.decode(line)


NO_YAML = pytest.mark.skip("not run: imports from YAML (policy-semantics, section 10) are not built yet")
ALL = tuple(read())
INVALID = [case for case in ALL if case.expect[0].outcome == "invalid_policy"]
VALID = [case for case in ALL if case.expect[0].outcome != "invalid_policy"]


def table(cases: list[Case]) -> list[object]:
    return [pytest.param(case, id=case.id, marks=() if case.dialect == "json" else NO_YAML) for case in cases]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opa(opa_path: Path) -> AsyncIterator[OpaClient]:
    """An OPA that holds the policy of every valid case, under the case's id."""
    programs = {
        case.id: compile_policy(text, approval_map=case.options.approval_map)
        for case in VALID
        if case.dialect == "json" and (text := case.text()) is not None
    }
    directory = runtime_directory()
    process = OpaProcess(opa_path, directory)
    client = OpaClient(Origin(socket_path=str(process.socket_path)), timeout_s=10)
    Publisher(directory, client.ask).place(build(programs))
    await process.start()
    yield client
    await client.close()
    await process.stop()


async def judge(call: Call, asker: Asker, opa: OpaClient, counters: SqliteCounters) -> Expected:
    """What the gateway answers to one call, the reservation committed or given back."""
    text = call.arguments_text()
    decision: Decision = await opa.decide(asker.call(call.tool, text, fault(text)))
    if decision.outcome == "approval_required" and call.approval in ("granted", "refused"):
        decision = await opa.decide(asker.call(call.tool, text, fault(text), approved=call.approval == "granted"))
    if decision.outcome != "allow":
        return Expected(decision.outcome, decision.rule, decision.message, None)
    now = datetime.fromisoformat(call.at)
    asked = claims(decision.limits, SERVER, call.grant, call.session, now)
    taken = await counters.reserve(asked)
    if isinstance(taken, Refused):
        limit = decision.limits[taken.index]
        return Expected("deny", limit.rule, limit.message, retry_at(asked[taken.index]))
    if call.upstream == "error":
        await counters.rollback(taken, now)
    return Expected("allow", retry_at=None)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", table(VALID))
async def test_case_judged_as_the_reference_says(case: Case, opa: OpaClient, tmp_path: Path) -> None:
    policy = None if case.text() is None else case.id
    database = open_database(tmp_path, "state")
    try:
        counters = SqliteCounters(database)
        answers = []
        for call in case.calls:
            asker = Asker(policy=policy, server=SERVER, grant=call.grant)
            answers.append(await judge(call, asker, opa, counters))
    finally:
        await database.close()
    for answer, expected in zip(answers, case.expect, strict=True):
        if expected.retry_at is msgspec.UNSET:
            answer.retry_at = msgspec.UNSET
    assert answers == case.expect
    if case.listing is not None:
        asker = Asker(policy=policy, server=SERVER, grant="g1")
        assert (await opa.visible(asker.visible(case.listing.upstream))).names == case.listing.visible


@pytest.mark.parametrize("case", table(INVALID))
def test_case_of_an_invalid_policy_rejected_where_the_reference_says(case: Case) -> None:
    text = case.text()
    assert text is not None
    assert case.calls == []
    with pytest.raises(PolicyRejected) as rejected:
        compile_policy(text, approval_map=case.options.approval_map)
    assert rejected.value.problems[0].pointer == case.expect[0].at


def test_case_ids_are_unique_and_every_case_is_run_or_named() -> None:
    assert len({case.id for case in ALL}) == len(ALL) == 91
    assert [case.id for case in ALL if case.dialect != "json"] == ["d089", "d090", "d091"]
