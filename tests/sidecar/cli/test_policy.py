import gzip
import io
import tarfile
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
APPROVAL = (
    '{"version": "1", "default": "deny", "tools": {"a": {"deny_if": [{"conditions": [], "on_deny": "Ask Ann."}]}}}'
)


def _members(bundle: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(bundle))) as archive:
        return {name: archive.extractfile(name).read().decode() for name in archive.getnames()}  # type: ignore[union-attr]


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


def test_build_writes_a_bundle_and_tells_its_revision(regate: Regate) -> None:
    Path("one.json").write_text(GOOD, encoding="utf-8")
    first = regate("build", "one.json", "-o", "first.tar.gz")
    second = regate("build", "one.json", "-o", "second.tar.gz")
    assert first.code == second.code == 0
    assert first.out.startswith("first.tar.gz: revision sha256:")
    assert Path("first.tar.gz").read_bytes() == Path("second.tar.gz").read_bytes()
    assert any("one" in name for name in _members(Path("first.tar.gz").read_bytes()))


def test_build_maps_no_denial_to_an_approval_unless_told(regate: Regate) -> None:
    Path("p.json").write_text(APPROVAL, encoding="utf-8")
    regate("build", "p.json", "-o", "plain.tar.gz")
    regate("build", "p.json", "-o", "mapped.tar.gz", "--approval-map", "Ask Ann.")
    plain, mapped = (
        "".join(text for name, text in _members(Path(file).read_bytes()).items() if "policies" in name)
        for file in ("plain.tar.gz", "mapped.tar.gz")
    )
    assert "approval_required" not in plain
    assert "approval_required" in mapped


def test_build_of_a_bad_policy_writes_nothing(regate: Regate) -> None:
    Path("bad.json").write_text(BAD, encoding="utf-8")
    done = regate("build", "bad.json", "-o", "bundle.tar.gz")
    assert done.code == 1
    assert "/default:" in done.out
    assert not Path("bundle.tar.gz").exists()


def test_check_of_a_name_that_steers_the_terminal_is_escaped(regate: Regate) -> None:
    Path("p.json").write_text('{"version": "1", "default": "deny", "tools": {"\\u001b[2J": 1}}', encoding="utf-8")
    done = regate("check", "p.json")
    assert done.code == 1
    assert "\x1b" not in done.out
