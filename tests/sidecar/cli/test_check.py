from collections.abc import Callable
from pathlib import Path
from typing import Any

Regate = Callable[..., Any]

GOOD = '{"version": "1", "default": "deny", "tools": {"a": {}}}'
BAD = """{
  "version": "1",
  "default": "perhaps",
  "tools": {"a": {"deny_fi": []}}
}
"""


def test_check_of_good_policies_says_so(regate: Regate) -> None:
    Path("one.json").write_text(GOOD, encoding="utf-8")
    Path("two.json").write_text(GOOD, encoding="utf-8")
    Path("other").mkdir()
    Path("other/one.json").write_text(GOOD, encoding="utf-8")
    done = regate("check", "one.json")
    assert (done.code, done.out, done.err) == (0, "1 policy, no problems\n", "")
    assert regate("check", "one.json", "two.json", "other/one.json").out == "3 policies, no problems\n"


def test_check_of_bad_policies_tells_every_problem_with_its_place(regate: Regate) -> None:
    Path("good.json").write_text(GOOD, encoding="utf-8")
    Path("bad.json").write_text(BAD, encoding="utf-8")
    Path("worse.json").write_text("{", encoding="utf-8")
    done = regate("check", "bad.json", "good.json", "worse.json")
    assert (done.code, done.err) == (1, "")
    found = [line for line in done.out.splitlines() if not line.startswith("  hint: ")]
    assert [line.split(" ")[:2] for line in found[:2]] == [
        ["bad.json:3:14:", "/default:"],
        ["bad.json:4:19:", "/tools/a/deny_fi:"],
    ]
    assert found[2].startswith("worse.json:1:2:")
    assert '  hint: did you mean "deny_if"?' in done.out.splitlines()


def test_check_of_a_name_that_steers_the_terminal_is_escaped(regate: Regate) -> None:
    Path("p.json").write_text('{"version": "1", "default": "deny", "tools": {"\\u001b[2J": 1}}', encoding="utf-8")
    done = regate("check", "p.json")
    assert done.code == 1
    assert "\x1b" not in done.out
