import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from translator import PolicyRejected, source, translate

Regate = Callable[..., Any]
ROOT = Path(__file__).parents[3]
GOLDEN = sorted((ROOT / "tests" / "translator" / "cases").glob("*/policy.json"))
EXAMPLES = sorted((ROOT / "examples").glob("**/policy.json"))
CASES = [
    (case["id"], case["policy"])
    for file in sorted((ROOT / "tests" / "decisions" / "cases").glob("*.jsonl"))
    for line in file.read_text(encoding="utf-8").split("\n")
    if line and isinstance((case := json.loads(line)).get("policy"), dict)
]
LOOSE = '{"default":"deny", "version":"1","tools":{"a":{"limits":[{"max":1.0e1,"window":60,"counter":"c"}]}}}'
FORMED = """{
  "version": "1",
  "default": "deny",
  "tools": {
    "a": {
      "limits": [
        {
          "counter": "c",
          "window": 60,
          "max": 1.0e1
        }
      ]
    }
  }
}
"""


def test_fmt_rewrites_a_policy_once_and_names_it(regate: Regate) -> None:
    Path("p.json").write_text(LOOSE, encoding="utf-8")
    Path("p.json").chmod(0o640)
    done = regate("fmt", "p.json")
    assert (done.code, done.out, done.err) == (0, "p.json: rewritten\n", "")
    assert Path("p.json").read_text(encoding="utf-8") == FORMED
    assert Path("p.json").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in Path().iterdir()] == ["p.json"]
    again = regate("fmt", "p.json")
    assert (again.code, again.out) == (0, "")


def test_fmt_check_names_files_and_changes_none(regate: Regate) -> None:
    Path("loose.json").write_text(LOOSE, encoding="utf-8")
    Path("formed.json").write_text(FORMED, encoding="utf-8")
    done = regate("fmt", "--check", "formed.json", "loose.json")
    assert (done.code, done.out) == (1, "loose.json: not in canonical form\n")
    assert Path("loose.json").read_text(encoding="utf-8") == LOOSE
    assert regate("fmt", "--check", "formed.json").code == 0


def test_fmt_diff_shows_lines_that_cannot_steer_a_terminal(regate: Regate) -> None:
    Path("p.json").write_text('{"version": "1", "default": "deny",\n "description": "\u202e"}', encoding="utf-8")
    shown = regate("fmt", "--check", "--diff", "p.json").out
    assert shown.startswith("--- p.json\n+++ p.json\n")
    assert '+  "version": "1",\n' in shown
    assert "\u202e" not in shown


def test_fmt_of_a_policy_with_problems_tells_them_and_goes_on_with_the_next(regate: Regate) -> None:
    Path("bad.json").write_text('{"version": 1, "default": "deny"}', encoding="utf-8")
    Path("p.json").write_text(LOOSE, encoding="utf-8")
    done = regate("fmt", "bad.json", "p.json")
    assert done.code == 1
    assert 'bad.json:1:13: /version: must be the string "1"' in done.out
    assert "p.json: rewritten" in done.out
    assert Path("bad.json").read_text(encoding="utf-8") == '{"version": 1, "default": "deny"}'


def test_fmt_that_would_outgrow_a_policy_is_refused(regate: Regate, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("p.json").write_text(LOOSE, encoding="utf-8")
    monkeypatch.setattr(source, "MAX_BYTES", len(LOOSE))
    done = regate("fmt", "p.json")
    assert done.code == 2
    assert "would be larger" in done.err
    assert Path("p.json").read_text(encoding="utf-8") == LOOSE


def test_fmt_of_a_link_rewrites_what_it_points_to(regate: Regate) -> None:
    Path("p.json").write_text(LOOSE, encoding="utf-8")
    Path("link.json").symlink_to("p.json")
    assert regate("fmt", "link.json").code == 0
    assert Path("link.json").is_symlink()
    assert Path("p.json").read_text(encoding="utf-8") == FORMED


@pytest.mark.parametrize("path", [*GOLDEN, *EXAMPLES], ids=lambda path: path.parent.name)
def test_fmt_keeps_the_revision_of_every_golden_and_example_policy(path: Path, regate: Regate) -> None:
    before = path.read_bytes()
    Path("p.json").write_bytes(before)
    assert regate("fmt", "p.json").code == 0
    after = Path("p.json").read_bytes()
    assert translate({"p": after}).revision == translate({"p": before}).revision
    assert regate("fmt", "--check", "p.json").code == 0


@pytest.mark.parametrize("policy", [policy for _, policy in CASES], ids=[id_ for id_, _ in CASES])
def test_fmt_keeps_the_revision_of_every_case_or_leaves_it_alone(policy: Any, regate: Regate) -> None:
    before = json.dumps(policy).encode()
    Path("p.json").write_bytes(before)
    code = regate("fmt", "p.json").code
    after = Path("p.json").read_bytes()
    try:
        revision = translate({"p": before}).revision
    except PolicyRejected:
        assert (code, after) == (1, before)
    else:
        assert (code, translate({"p": after}).revision) == (0, revision)
