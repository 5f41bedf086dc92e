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
