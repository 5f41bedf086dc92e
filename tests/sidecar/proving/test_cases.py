"""Case files: what is read, and every fault with its line and what to do."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from sidecar.proving.cases import Fault, moment, read

CALL = '{"tool": "t", "at": "2026-11-20T10:00:00Z", "grant": "g"}'
GOOD = f'{{"id": "x", "policy": null, "calls": [{CALL}], "expect": [{{"outcome": "deny"}}]}}'


def fault(line: str) -> Fault:
    cases, faults = read(line.encode())
    assert cases == []
    return faults[0]


def with_call(more: str) -> str:
    return GOOD.replace('"grant": "g"', f'"grant": "g", {more}')


def test_case_is_read_with_its_line_and_blank_lines_are_passed_over() -> None:
    cases, faults = read(f"\n{GOOD}\r\n \n{GOOD}".encode())
    assert [case.line for case in cases] == [2, 4]
    assert faults == []
    assert (cases[0].policy, cases[0].dialect, cases[0].approval_map, cases[0].invalid_at) == (None, "json", (), None)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ('"session": null', b"{}"),
        ('"arguments": null', b"{}"),
        ('"arguments_raw": " null "', b"{}"),
        ('"arguments": {"a": 1e400, "a": 9007199254740993}', b'{"a": 1e400, "a": 9007199254740993}'),
        ('"arguments": {"a": "\\ud800"}', b'{"a": "\\ud800"}'),
        ('"arguments_raw": "{\\"a\\": \\"\\ud800\\"}"', b'{"a": "\\ud800"}'),
        ('"arguments": [1]', b"[1]"),
        ('"arguments_raw": "no json"', b"no json"),
    ],
)
def test_arguments_are_kept_as_they_were_written(more: str, text: bytes) -> None:
    cases, faults = read(with_call(more).encode())
    assert faults == []
    assert cases[0].calls[0].arguments_text() == text


def test_policy_is_kept_as_it_was_written() -> None:
    cases, _ = read(GOOD.replace('"policy": null', '"policy": {"version" : 1.0, "version":2}').encode())
    assert cases[0].policy == b'{"version" : 1.0, "version":2}'
    cases, _ = read(GOOD.replace('"policy": null', '"policy_text": "{\\"a\\": \\"\\udfff\\"}"').encode())
    assert cases[0].policy == b'{"a": "\\udfff"}'


def test_case_without_a_policy_takes_the_one_given() -> None:
    line = GOOD.replace('"policy": null, ', "")
    assert read(line.encode(), b"{}")[0][0].policy == b"{}"
    assert fault(line).message == "has no policy"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("\ufeff" + GOOD, "the file begins with a byte order mark"),
        ("no json", "column 1: an object is expected here"),
        (GOOD.replace("null", "nul"), "column 23: Expecting value"),
        (GOOD.replace('"id"', '"policy"'), 'column 27: "policy" is there twice'),
        (GOOD.replace('"x"', "1"), "id: expected `str`, got `int`"),
        (GOOD.replace('"id": "x", ', ""), "object missing required field `id`"),
        (GOOD.replace('"id"', '"titel": "", "id"'), "object contains unknown field `titel`"),
        (GOOD.replace('"id"', '"dialect": "yaml", "id"'), "dialect: invalid enum value 'yaml'"),
        (
            GOOD.replace('"id"', '"options": {"approval_map": ["a", 1]}, "id"'),
            "options.approval_map[1]: expected `str`, got `int`",
        ),
        (GOOD.replace('"id"', '"policy_text": "", "id"'), "has both policy and policy_text"),
        (GOOD.replace(CALL, "7"), "calls[0]: an object is expected here"),
        (GOOD.replace(f"[{CALL}]", "{}"), "calls: an array is expected here"),
        (GOOD.replace('"t"', "1.5"), "calls[0].tool: expected `str`, got `float`"),
        (GOOD.replace('"t"', '"\\ud800"'), "calls[0]: has half a surrogate pair in a name"),
        (with_call('"grand": ""'), "calls[0]: object contains unknown field `grand`"),
        (with_call('"\\ud800": 1'), "calls[0]: holds half a surrogate pair"),
        (with_call('"upstream": "lost"'), "calls[0].upstream: invalid enum value 'lost'"),
        (with_call('"approval": "given"'), "calls[0].approval: invalid enum value 'given'"),
        (with_call('"session": "a", "session": "b"'), 'calls[0]: "session" is there twice'),
        (with_call('"arguments": {}, "arguments_raw": "{}"'), "calls[0]: has both arguments and arguments_raw"),
        (GOOD.replace("2026-11-20T", "yesterday "), "calls[0]: has a time that is not RFC 3339: yesterday 10:00:00Z"),
        (GOOD.replace("-11-20", "-02-30"), "calls[0]: has a time that no calendar here knows: 2026-02-30T10:00:00Z"),
        (GOOD.replace('"deny"', '"Deny"'), "expect[0].outcome: invalid enum value 'Deny'"),
        (GOOD.replace('"outcome": "deny"', ""), "expect[0]: object missing required field `outcome`"),
        (
            GOOD.replace('"deny"', '"deny", "at": ""'),
            "expect[0]: has `at` (a pointer) for an invalid policy, and for nothing else",
        ),
        (
            GOOD.replace('"deny"', '"invalid_policy"'),
            "expect[0]: has `at` (a pointer) for an invalid policy, and for nothing else",
        ),
        (GOOD.replace('"deny"', '"invalid_policy", "at": ""'), "expects an invalid policy and something else"),
        (GOOD.replace(CALL, f"{CALL}, {CALL}"), "has other counts (calls: 2, expect: 1)"),
        (GOOD.replace(f'"calls": [{CALL}]', '"calls": []').replace('{"outcome": "deny"}', ""), "has nothing to try"),
        (
            GOOD.replace('"id"', '"list": {"upstream": [], "visible": "a"}, "id"'),
            "list.visible: expected `array`, got `str`",
        ),
        (GOOD.replace('"x"', '"x", "title": ' + "[" * 9000 + "]" * 9000), "title: it is nested too deeply"),
    ],
)
def test_line_that_is_no_case_is_told(line: str, message: str) -> None:
    assert fault(line).message == message


def test_bytes_that_are_no_text_are_told_and_the_other_lines_read() -> None:
    cases, faults = read(b'{"id": "\xff"}\n' + GOOD.encode())
    assert (faults[0].line, faults[0].message) == (1, "is not UTF-8 (byte 9)")
    assert len(cases) == 1


def test_every_fault_of_a_line_is_told_at_once_with_what_to_do() -> None:
    line = GOOD.replace('"g"', '"g", "grand": 1').replace('"deny"', '"refuse"').replace('"x"', "null")
    _, faults = read(line.encode())
    assert [(each.message.partition(":")[0], each.hint.partition(" ")[0]) for each in faults] == [
        ("calls[0]", "the"),
        ("expect[0].outcome", "one"),
        ("id", ""),
    ]
    assert faults[0].hint.startswith("the members here are tool, at, grant, session")
    assert faults[1].hint == "one of allow, deny, approval_required, invalid_policy"


def test_line_is_a_case_or_has_a_fault_however_it_is_spoilt() -> None:
    chance = random.Random(20261121)
    pieces = [*'"{}[]\\:,', "\\ud800", "null", "NaN", "1e999", "\0", "[" * 2000, '"calls"', '"at"', "\ufeff", "\udcff"]
    good = with_call('"arguments": {"a": [1, "x", {"y": null}]}, "session": "s"')
    for _ in range(4000):
        text = good
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice([*pieces, ""]) + text[at + chance.randint(0, 9) :]
        cases, faults = read(text.encode(errors="surrogateescape"))
        assert len(cases) == 1 if not faults else not cases


def test_moment_is_read_at_any_offset_and_cut_to_microseconds() -> None:
    assert moment("2026-11-20t10:00:00.9999999999z") == datetime(2026, 11, 20, 10, 0, 0, 999_999, UTC)
    assert moment("2026-11-20 10:00:00-23:59") - moment("2026-11-20T10:00:00Z") == timedelta(hours=23, minutes=59)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20",
        "2026-11-20T10:00:00",
        "20261120T100000Z",
        "2026-11-20T10:00:60Z",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+10:00",
        "",
    ],
)
def test_moment_of_another_form_or_outside_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has a time"):
        moment(text)
