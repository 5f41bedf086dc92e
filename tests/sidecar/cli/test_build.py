import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Regate = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[3]

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


def test_build_writes_a_bundle_and_tells_its_revision(regate: Regate) -> None:
    Path("one.json").write_text(GOOD, encoding="utf-8")
    first = regate("build", "one.json", "-o", "first.tar.gz")
    second = regate("build", "one.json", "-o", "second.tar.gz")
    assert first.code == second.code == 0
    assert first.out.startswith("first.tar.gz: revision library:sha256:")
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


def _manifest(path: str) -> Any:
    return json.loads(_members(Path(path).read_bytes())[".manifest"])


def test_build_of_a_folder_takes_its_json_files_and_no_hidden_ones(regate: Regate) -> None:
    Path("p/inner").mkdir(parents=True)
    for name in ("one.json", "two.json", ".old.json", "read.me", "inner/three.json"):
        Path("p", name).write_text(GOOD, encoding="utf-8")
    Path("p/folder.json").mkdir()
    assert regate("build", "p", "-o", "folder.tar.gz").code == 0
    assert regate("build", "p/two.json", "p/one.json", "-o", "files.tar.gz").code == 0
    assert sorted(_manifest("folder.tar.gz")["metadata"]["policies"]) == ["one", "two"]
    assert Path("folder.tar.gz").read_bytes() == Path("files.tar.gz").read_bytes()


def test_build_of_two_policies_of_one_id_is_wrong_usage(regate: Regate) -> None:
    Path("p").mkdir()
    for name in ("one.json", "p/one.json"):
        Path(name).write_text(GOOD, encoding="utf-8")
    done = regate("build", "one.json", "p", "-o", "bundle.tar.gz")
    assert (done.code, Path("bundle.tar.gz").exists()) == (2, False)
    assert "one.json and p/one.json would have the same id, one; rename one" in done.err
    assert regate("build", "one.json", "./one.json", "-o", "bundle.tar.gz").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["p"], "p holds no policy: no file in it ends in .json"),
        ([], "name at least one policy file or folder"),
        (["one.json", "--part", "library"], "--part library takes no policies"),
        (["one.json", "--commit", "HEAD"], "--commit must be a commit's name: 7 to 64 hexadecimal digits"),
        (["one.json", "--commit", "c0ffee1", "--git"], "--commit and --git exclude each other"),
        (["one.json", "--serial", "-1"], "Invalid value for '--serial'"),
        (["one.json", "--alg", "none"], "Invalid value for '--alg'"),
        (["one.json", "--sign", "the secret itself"], "--sign must name the file that holds the key"),
    ],
)
def test_build_called_wrongly_says_how_and_writes_nothing(regate: Regate, arguments: list[str], said: str) -> None:
    Path("p").mkdir()
    Path("one.json").write_text(GOOD, encoding="utf-8")
    done = regate("build", *arguments, "-o", "bundle.tar.gz")
    assert (done.code, Path("bundle.tar.gz").exists()) == (2, False)
    assert said in done.err
    assert "itself" not in done.err


def test_build_notes_commit_and_serial_beside_the_digests(regate: Regate) -> None:
    Path("one.json").write_text(GOOD, encoding="utf-8")
    regate("build", "one.json", "-o", "plain.tar.gz")
    regate("build", "one.json", "-o", "noted.tar.gz", "--commit", "c0ffee1", "--serial", "0")
    plain, noted = _manifest("plain.tar.gz"), _manifest("noted.tar.gz")
    assert noted == plain | {"metadata": plain["metadata"] | {"commit": "c0ffee1", "serial": 0}}


def test_build_asks_git_for_the_commit_and_wants_policies_in_it(regate: Regate) -> None:
    Path("one.json").write_text(GOOD, encoding="utf-8")
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "one.json"], [*who, "commit", "-qm", "one"]):
        subprocess.run(["git", *words], check=True, timeout=60)
    assert regate("build", "one.json", "-o", "bundle.tar.gz", "--git").code == 0
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=60)
    assert _manifest("bundle.tar.gz")["metadata"]["commit"] == head.stdout.strip()
    Path("one.json").write_text(f"{GOOD} ", encoding="utf-8")
    done = regate("build", "one.json", "-o", "other.tar.gz", "--git")
    assert (done.code, Path("other.tar.gz").exists()) == (1, False)
    assert "differ from the commit" in done.err


def test_build_of_parts_needs_no_policy_for_the_library(regate: Regate) -> None:
    Path("one.json").write_text(GOOD, encoding="utf-8")
    assert regate("build", "--part", "library", "-o", "library.tar.gz").code == 0
    assert regate("build", "one.json", "--part", "policies", "-o", "one.tar.gz").code == 0
    assert _manifest("one.tar.gz")["roots"] == ["mcp/policies/one"]
    assert "mcp/gate" in _manifest("library.tar.gz")["roots"]


def test_build_that_cannot_sign_writes_nothing(regate: Regate) -> None:
    Path("one.json").write_text(GOOD, encoding="utf-8")
    Path("secret.key").write_text("short", encoding="utf-8")
    done = regate("build", "one.json", "-o", "bundle.tar.gz", "--sign", "secret.key", "--alg", "HS256")
    assert (done.code, Path("bundle.tar.gz").exists()) == (1, False)
    assert "The key has 5 bytes; HS256 needs at least 32." in done.err


def test_build_signed_twice_has_the_same_bytes(regate: Regate) -> None:
    Path("one.json").write_text(GOOD, encoding="utf-8")
    Path("secret.key").write_text("0123456789abcdef" * 2, encoding="utf-8")
    for name in ("a", "b"):
        done = regate("build", "one.json", "-o", name, "--sign", "secret.key", "--alg", "HS256")
        assert done.out.endswith(", signed with HS256\n")
    assert Path("a").read_bytes() == Path("b").read_bytes()
    assert ".signatures.json" in _members(Path("a").read_bytes())


def test_build_writes_tests_that_stock_opa_runs(regate: Regate, opa_path: Path) -> None:
    Path("p").mkdir()
    Path("p/one.json").write_text(GOOD, encoding="utf-8")
    Path("p/ask-ann.json").write_text(APPROVAL, encoding="utf-8")
    done = regate("build", "p", "-o", "bundle.tar.gz", "--approval-map", "Ask Ann.", "--tests")
    assert done.out.splitlines()[1:] == ["p/ask-ann_test.rego", "p/one_test.rego"]
    for policy in ("one", "ask-ann"):
        command = [opa_path, "test", "bundle.tar.gz", f"p/{policy}_test.rego"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (ran.returncode, ran.stdout.startswith("PASS")) == (0, True)


def test_build_that_cannot_write_a_test_says_so(regate: Regate) -> None:
    Path("one.json").write_text(GOOD, encoding="utf-8")
    Path("one_test.rego").mkdir()
    done = regate("build", "one.json", "-o", "bundle.tar.gz", "--tests")
    assert (done.code, done.err) == (1, "regate: one_test.rego cannot be written: is a directory\n")


def test_build_does_not_hang_on_place_time_or_language(tmp_path: Path) -> None:
    """Two processes with another hash seed, time zone, locale, umask and folder make one bundle."""
    made = []
    surroundings: list[tuple[str, dict[str, str], int]] = [
        ("a", {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C"}, 0o077),
        ("b", {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8"}, 0o002),
    ]
    for place, environment, umask in surroundings:
        folder = tmp_path / place / "p"
        folder.mkdir(parents=True)
        names = ("one", "two", "é") if place == "a" else ("é", "two", "one")
        for name in names:
            (folder / f"{name}.json").write_text(GOOD, encoding="utf-8")
        command = [sys.executable, "-m", "sidecar", "build", "p", "-o", "bundle.tar.gz"]
        with_path = environment | {"PYTHONPATH": str(ROOT), "PATH": os.defpath}
        subprocess.run(command, cwd=tmp_path / place, env=with_path, umask=umask, check=True, timeout=60)
        made.append((tmp_path / place / "bundle.tar.gz").read_bytes())
    assert made[0] == made[1]


def test_build_and_check_of_a_pattern_that_opa_refuses_tell_it(regate: Regate, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pattern is known that RE2 takes here and OPA does not: one is played."""
    monkeypatch.setattr("sidecar.opa.patterns.refused", lambda binary, asked: list(asked))
    rules = {"deny_if": [{"path": "args.a", "op": "regex", "value": "x"}]}
    Path("p.json").write_text(json.dumps({"version": "1", "default": "allow", "all_tools": rules}), encoding="utf-8")
    Path("good.json").write_text(GOOD, encoding="utf-8")
    for command in (["build", "p.json", "good.json", "-o", "bundle.tar.gz"], ["check", "good.json", "p.json"]):
        done = regate(*command)
        assert done.code == 1
        assert 'p.json:1:1: /all_tools/deny_if/args.a-regex: OPA refuses the pattern "x"' in done.out
        assert "good.json:" not in done.out
    assert not Path("bundle.tar.gz").exists()


def test_bundle_is_not_for_a_terminal(regate: Regate) -> None:
    Path("one.json").write_text(GOOD, encoding="utf-8")
    done = regate("build", "one.json", "-o", "-")
    assert (done.code, done.out, Path("-").exists()) == (2, "", False)
    assert "-o must name a file" in done.err


def test_link_to_nowhere_in_a_folder_is_not_passed_over(regate: Regate) -> None:
    Path("p").mkdir()
    Path("p/one.json").write_text(GOOD, encoding="utf-8")
    Path("p/two.json").symlink_to("nowhere.json")
    done = regate("build", "p", "-o", "bundle.tar.gz")
    assert (done.code, done.err) == (1, "regate: p/two.json cannot be read: no such file or directory\n")
    assert not Path("bundle.tar.gz").exists()
