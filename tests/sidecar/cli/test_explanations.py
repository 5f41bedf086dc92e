import json
from decimal import Decimal
from typing import Any

import msgspec

from sidecar.cli.explanations import Explained, document, lines
from sidecar.core.decision import Decision
from sidecar.path.judgement import Verdict
from sidecar.proving.call import Call
from sidecar.proving.explanation import Counter, Explanation
from sidecar.proving.nearest import Passing
from sidecar.proving.probes import Rule
from translator import parse
from translator.program import Guard, Limit

POLICY = {
    "version": "1",
    "default": "deny",
    "tools": {
        "t": {
            "require": ["args.a"],
            "require_approval": [{"path": "args.a", "op": "contains", "value": "x"}],
            "limits": [
                {"counter": "n", "window": 90, "max": 2, "increment_from": "args.a"},
                {"counter": "m", "window": "day", "max": 1},
            ],
        }
    },
}
SECTION = parse(json.dumps(POLICY).encode()).tools["t"]
REQUIRE, APPROVAL = SECTION.guards
SPENT, COUNT = SECTION.limits


def explained(
    outcome: Any, rule: str, *, approved: Verdict | None = None, passing: tuple[Passing, ...] = ()
) -> Explained:
    verdict = Verdict(Decision(outcome, rule, rule and "No.", "r", ()), retry_at="2026-11-20T00:00:00Z")
    rules = (
        Rule(REQUIRE, False, ("true",)),
        Rule(APPROVAL, True, ("mixed",)),
        Rule(SPENT, True),
        Rule(COUNT, False),
    )
    counters = (
        Counter(SPENT, Decimal("1.50"), None, 90),
        Counter(COUNT, Decimal(1), Decimal(1), 86400),
    )
    call = Call("t", msgspec.Raw(b'{"a": ["%b", 1, 2, 3, 4, 5, 6]}' % (b"x" * 200)))
    return Explained("p", "sha256:1", call, Explanation(verdict, approved, rules, counters, passing))


def test_lines_tell_every_part() -> None:
    approved = Verdict(Decision("deny", COUNT.rule, "Full.", "r", ()))
    passing = (Passing(("drop args.a", "add args.b"), b'{"b":1}'),)
    told = list(lines(explained("approval_required", APPROVAL.rule, approved=approved, passing=passing)))
    assert told[:9] == [
        '"t" waits for a person under policy p sha256:1',
        "  rule     /tools/t/require_approval/args.a-contains",
        "  message  No.",
        "  retry    at 2026-11-20T00:00:00Z",
        "  once approved it is denied by /tools/t/limits/m: Full.",
        "rules, in order",
        "  holds        /tools/t/require/args.a-exists",
        told[7],
        "  asks         /tools/t/require_approval/args.a-contains   <- decides",
    ]
    assert told[7].startswith('               args.a is given: true; found ["xxx')
    assert len(told[7]) < 160
    assert told[10:] == [
        "  uncountable  /tools/t/limits/n",
        "  full         /tools/t/limits/m",
        "counters",
        '  "n" per 90 seconds and grant: takes args.a, which cannot be counted, '
        "stands at 1.5 of 2 until 1970-01-01T00:01:30Z",
        '  "m" per day and grant: takes 1, stands at 1 of 1 until 1970-01-02T00:00:00Z',
        "would pass with",
        '  drop args.a and add args.b   {"b":1}',
    ]


def test_lines_say_when_nothing_would_pass_and_nothing_of_it_when_the_call_does() -> None:
    assert list(lines(explained("deny", REQUIRE.rule)))[-1] == "no change of the arguments was found that would pass"
    assert list(lines(explained("allow", "")))[-1].startswith('  "m" per day')


def test_document_keeps_numbers_exact() -> None:
    passing = (Passing(("args.a = 1",), b'{"a":9007199254740993.10}'),)
    text = msgspec.json.encode(document(explained("deny", REQUIRE.rule, passing=passing)))
    assert b'"arguments":{"a":9007199254740993.10}' in text
    assert b'"stands_at":1.5' in text
    found = json.loads(text)
    assert [counter["takes"] for counter in found["counters"]] == [None, 1]
    assert found["approved"] is None


def test_values_of_arguments_that_cannot_be_judged_are_not_shown() -> None:
    about = explained("deny", "(invalid arguments)")
    bad = Explained("p", "r", Call("t", msgspec.Raw(b'{"a": 1, "a": 2}')), about.explanation)
    assert "found nothing" in "\n".join(lines(bad))
    assert isinstance(REQUIRE, Guard)
    assert isinstance(SPENT, Limit)


def test_many_values_are_counted() -> None:
    section = parse(json.dumps(POLICY).replace('"args.a"]', '{"path": "args.a.*", "op": "lt", "value": 9}]').encode())
    guard = section.tools["t"].guards[0]
    about = explained("allow", "")
    shown = Explanation(about.explanation.verdict, None, (Rule(guard, False, ("true",)),), (), ())
    told = list(lines(Explained("p", "r", about.call, shown)))
    assert told[-1].endswith(", 1, 2, 3, 4, and 2 more")
