"""Source: mcp-gateway.md G31."""

import json

import pytest

from sidecar.core.decision import Decision
from sidecar.core.inventory import Inventory
from sidecar.core.messages import PassThrough, ToolCall
from sidecar.core.query import Asker
from sidecar.errors import Malformed, SidecarError
from sidecar.path.judgement import CLOSED, Caller, Judgement, Verdict
from sidecar.path.recorder import Recorder, UnderWay
from sidecar.path.refusals import Refusals
from sidecar.ports import Grant
from tests.fakes import START, FakeApprovals, FakeAudit, FakeCounters, FakeDecisionPoint

CALL = ToolCall(b"{}", 1, b"1", "pay", b"{}", (), None, False, False)
HIDDEN = Decision("deny", "(hidden)", "Hidden.", "sha256:one", ())


def desk(hidden_calls: str = "denied") -> tuple[Refusals, UnderWay, FakeAudit, list[SidecarError]]:
    audit, warned = FakeAudit(), list[SidecarError]()
    judgement = Judgement(FakeDecisionPoint(), FakeCounters(), FakeApprovals())
    grant = Grant("g", "s", "p", hidden_calls="unknown" if hidden_calls == "unknown" else "denied")
    turn = UnderWay(Caller(grant, Asker(policy="p", server="s", grant="g")), START, 0.0, "tools/call", "pay")
    return Refusals(judgement, Inventory(), Recorder(audit), warned.append), turn, audit, warned


def test_refused_message_is_told_and_recorded() -> None:
    refusals, turn, audit, warned = desk()
    reply = refusals.refused(Malformed("No."), turn)
    assert (reply.status, json.loads(reply.body or b"")["error"]["message"]) == (400, "No.")
    assert ([str(error) for error in warned], audit.records[0].outcome) == (["No."], "refused")


@pytest.mark.parametrize(("id", "status"), [(1, 200), (None, 400)])
def test_closed_method_gets_an_error(id: int | None, status: int) -> None:
    refusals, turn, audit, _ = desk()
    reply = refusals.closed(PassThrough(b"{}", id, b"1", "resources/list", False), turn, CLOSED)
    assert (reply.status, json.loads(reply.body or b"")["error"]["code"]) == (status, 40301)
    assert audit.records[0].rule == "(closed)"


@pytest.mark.parametrize("hidden_calls", ["denied", "unknown"])
def test_denied_call_of_a_hidden_tool_is_told_as_the_grant_says(hidden_calls: str) -> None:
    refusals, turn, audit, _ = desk(hidden_calls)
    answer = json.loads(refusals.denied(CALL, turn, Verdict(HIDDEN)).body or b"")
    assert ("error" in answer) == (hidden_calls == "unknown")
    assert audit.records[0].rule == "(hidden)"
