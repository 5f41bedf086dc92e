"""Source: policy-semantics section 12 (what is recorded)."""

from sidecar.core.decision import Decision
from sidecar.core.query import Asker
from sidecar.errors import Malformed
from sidecar.path.judgement import Caller, Verdict
from sidecar.path.recorder import Judged, Recorder, UnderWay
from sidecar.ports import Grant
from tests.fakes import START, FakeAudit

CALLER = Caller(Grant("g", "s", "p"), Asker(policy="p", server="s", grant="g"), "theirs")


def under_way() -> UnderWay:
    return UnderWay(CALLER, START, 0.0, "tools/call", "pay", ("amount",))


def test_judged_call_is_recorded_with_its_decision_and_its_end() -> None:
    audit = FakeAudit()
    decision = Decision("deny", "/r", "No.", "sha256:one", ())
    Recorder(audit).judged(under_way(), Verdict(decision, approval="apr_1"), "result", "why")
    (record,) = audit.records
    assert (record.server, record.grant, record.policy, record.session) == ("s", "g", "p", "theirs")
    assert (record.method, record.tool, record.argument_keys) == ("tools/call", "pay", ("amount",))
    assert (record.outcome, record.rule, record.message, record.revision) == ("deny", "/r", "No.", "sha256:one")
    assert (record.result, record.cause, record.approval) == ("result", "why", "apr_1")
    assert record.at == "2026-03-01T12:00:00.000Z"


def test_refused_message_is_recorded_as_far_as_it_could_be_read() -> None:
    audit = FakeAudit()
    error = Malformed("No.").about(id_raw=b"1", method="tools/call", tool="x")
    Recorder(audit).refused(UnderWay(CALLER, START, 0.0), error)
    (record,) = audit.records
    assert (record.outcome, record.method, record.tool, record.cause) == ("refused", "tools/call", "x", "malformed")


def test_call_given_up_is_recorded() -> None:
    audit = FakeAudit()
    Recorder(audit).given_up(under_way())
    (record,) = audit.records
    assert (record.outcome, record.tool, record.cause) == ("refused", "pay", "given_up")


def test_recorder_is_as_healthy_as_its_log() -> None:
    assert not Recorder(FakeAudit(healthy=False)).healthy


def test_record_once_made_holds_nothing_else_of_the_call() -> None:
    decision = Decision("deny", "/r", "No.", "sha256:one", ())
    judged = Judged(under_way(), Verdict(decision), "result", "why", 1.0)
    record = judged.record()
    assert judged.record() is record
    assert (judged.turn, judged.verdict) == (None, None)
