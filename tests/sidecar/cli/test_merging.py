import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Regate = Callable[..., Any]

ONE = '{"version": "1", "default": "deny", "tools": {"a": {}}}'
TWO = '{"version": "1", "default": "deny", "hide": ["a"], "tools": {"b": {}}}'
OTHER = '{"version": "1",\n "default": "allow"}'
MERGED = {"version": "1", "default": "deny", "hide": ["a"], "tools": {"a": {}, "b": {}}}


def _write(**files: str) -> None:
    for name, text in files.items():
        Path(f"{name}.json").write_text(text, encoding="utf-8")


def test_merge_prints_the_policy_and_warns_beside_it(regate: Regate) -> None:
    _write(one=ONE, two=TWO)
    done = regate("merge", "one.json", "two.json")
    assert (done.code, json.loads(done.out)) == (0, MERGED)
    assert done.err == (
        "one.json:1:47: warning: /tools/a: is hidden by two.json:1, so its rules have no effect"
        " (remove one of the two)\n"
    )


def test_merge_writes_a_file_that_check_accepts(regate: Regate) -> None:
    _write(one=ONE, two=ONE)
    done = regate("merge", "one.json", "two.json", "-o", "policy.json")
    assert (done.code, done.out, done.err) == (0, "", "policy.json: written\n")
    assert Path("policy.json").read_text(encoding="utf-8") == regate("merge", "one.json").out
    assert regate("check", "policy.json").code == 0


def test_merge_of_policies_that_clash_tells_where_and_writes_nothing(regate: Regate) -> None:
    _write(one=ONE, two=OTHER)
    done = regate("merge", "one.json", "two.json", "-o", "policy.json")
    assert (done.code, done.out, Path("policy.json").exists()) == (1, "", False)
    assert done.err == (
        'two.json:2:13: /default: is "allow", but "deny" in one.json:1\n'
        "  hint: policies merge only with the same default\n"
    )


def test_merge_that_cannot_be_written_says_so(regate: Regate) -> None:
    _write(one=ONE)
    done = regate("merge", "one.json", "-o", "nowhere/policy.json")
    assert (done.code, done.err) == (1, "regate: nowhere/policy.json cannot be written: no such file or directory\n")


def test_merge_of_what_is_too_large_together_names_no_file(regate: Regate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("translator.merge.MAX_BYTES", 60)
    _write(one=ONE, two=TWO)
    done = regate("merge", "one.json", "two.json")
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith("policies: the merged policy is larger than 60 bytes\n")


def test_merge_for_programs_is_one_document(regate: Regate) -> None:
    _write(one=ONE, two=OTHER)
    done = regate("merge", "one.json", "two.json", "--format", "json")
    told = json.loads(done.out)
    assert (done.code, done.err, told["policy"]) == (1, "", None)
    assert [(each["file"], each["line"], each["pointer"]) for each in told["findings"]] == [("two.json", 2, "/default")]
