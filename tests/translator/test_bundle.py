import gzip
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

import rego
from translator.bundle import Part, build, module_path, pack
from translator.compile import compile_policy
from translator.program import Program

ALLOW = Program("allow")
DENY = Program("deny", tools={})
IDS = ("git", "a.b", "a/b", "../../etc/passwd", "A", "a", "", ".", ".hidden", "a b", 'q"\\\n', "é", "with", "x" * 300)


def members(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        return tar.getmembers()


def text_of(data: bytes, path: str) -> str:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        file = tar.extractfile(path)
        assert file is not None
        return file.read().decode()


def test_bundle_of_the_same_programs_has_the_same_bytes() -> None:
    one = build({"b": ALLOW, "a": DENY})
    other = build({"a": Program("deny"), "b": Program("allow")})
    assert one.data == other.data
    assert one.revision == other.revision


def test_bundle_of_another_program_has_other_revisions() -> None:
    one, other = build({"a": ALLOW, "b": ALLOW}), build({"a": ALLOW, "b": DENY})
    assert one.revision != other.revision
    assert one.policies["a"].revision == other.policies["a"].revision
    assert one.policies["b"].revision != other.policies["b"].revision
    assert one.policies["a"].revision != one.policies["b"].revision
    assert one.policies["a"].program is ALLOW


def test_bundle_holds_manifest_library_and_policies_and_no_tests() -> None:
    bundle = build({"git": ALLOW})
    names = [member.name for member in members(bundle.data)]
    assert names == sorted([".manifest", *rego.library(), "mcp/policies/git.rego"])
    manifest = json.loads(text_of(bundle.data, ".manifest"))
    assert (manifest["revision"], manifest["roots"], manifest["rego_version"]) == (bundle.revision, ["mcp"], 1)
    assert {path: text_of(bundle.data, path) for path in names} == bundle.files
    assert f'revision := "{bundle.policies["git"].revision}"' in text_of(bundle.data, "mcp/policies/git.rego")


def test_manifest_names_library_and_each_policy_by_digest_beside_what_is_given() -> None:
    plain, noted = build({"git": ALLOW}), build({"git": ALLOW}, metadata={"commit": "c0ffee1", "serial": 7})
    found = json.loads(noted.files[".manifest"])["metadata"]
    library, _, _ = plain.revision.removeprefix("library:").partition(",")
    revisions = {"git": plain.policies["git"].revision}
    assert found == {"library": library, "policies": revisions, "commit": "c0ffee1", "serial": 7}
    assert plain.revision == noted.revision
    assert plain.data != noted.data


def test_parts_make_the_whole_and_own_nothing_twice() -> None:
    programs = {"git": ALLOW, "a b": DENY}
    whole = build(programs)
    library, policies = build({}, part=Part.LIBRARY), build(programs, part=Part.POLICIES)
    contents = [dict(part.files) for part in (whole, library, policies)]
    manifests = [json.loads(files.pop(".manifest")) for files in contents]
    assert contents[1] | contents[2] == contents[0]
    assert not contents[1].keys() & contents[2].keys()
    assert manifests[1]["roots"] == sorted(path.rpartition("/")[0] for path in rego.library())
    assert manifests[2]["roots"] == ["mcp/policies/a b", "mcp/policies/git"]
    assert policies.policies == whole.policies


def test_archive_says_nothing_of_the_machine_that_made_it() -> None:
    data = pack({"b": "2", "a": "é"})
    assert data[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    assert gzip.decompress(data)[257:263] == b"ustar\x00"
    for member in members(data):
        assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
        assert (member.mode, member.type) == (0o600, tarfile.REGTYPE)
    assert text_of(data, "a") == "é"


def test_module_path_is_safe_and_no_two_ids_share_one() -> None:
    paths = [module_path(policy_id) for policy_id in (*IDS, "x" * 301, "=2e", "==")]
    assert len({path.lower() for path in paths}) == len(paths)
    for path in paths:
        folder, _, name = path.rpartition("/")
        assert folder == "mcp/policies"
        assert set(name.removesuffix(".rego")) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-=")
        assert 6 <= len(name) <= 90


@pytest.mark.parametrize(
    ("policy_id", "path"),
    [("stripe-prod_1", "stripe-prod_1"), ("", "="), ("a/b", "a=2fb"), ("A", "=41"), ("é", "=c3=a9")],
)
def test_module_path_keeps_what_is_plain(policy_id: str, path: str) -> None:
    assert module_path(policy_id) == f"mcp/policies/{path}.rego"


def test_bundle_of_an_id_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        build({"\ud800": ALLOW})


def opa_eval(opa_path: Path, bundle: Path, query: str, question: object = None) -> object:
    command = [opa_path, "eval", "--bundle", bundle, "--stdin-input", "--format", "raw", query]
    done = subprocess.run(command, input=json.dumps(question), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return json.loads(done.stdout)


def test_bundle_loads_in_a_plain_opa_under_any_id(opa_path: Path, tmp_path: Path) -> None:
    bundle = build(dict.fromkeys(IDS, ALLOW))
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(bundle.data)
    revisions = opa_eval(opa_path, path, "data.mcp.gate.revisions")
    assert revisions == {policy_id: compiled.revision for policy_id, compiled in bundle.policies.items()}
    calls = [{"policy": each, "server": "s", "grant": "g", "tool": "t", "args": {}} for each in (*IDS, "gi", None)]
    answers = opa_eval(opa_path, path, "data.mcp.gate.decisions", {"calls": calls})
    assert isinstance(answers, list)
    assert [answer["outcome"] for answer in answers] == ["allow"] * len(IDS) + ["deny", "deny"]


def test_work_of_opa_does_not_grow_with_the_number_of_tools(opa_path: Path, tmp_path: Path) -> None:
    """The rules of other tools are never looked at: OPA indexes them by `input.tool` (opa.md, section 1)."""
    steps = []
    for count in (20, 382):
        rules = {
            "require": ["args.a"],
            "deny_if": [{"conditions": [{"path": f"args.{name}", "op": "gt", "value": 5}]} for name in "abc"],
            "limits": [{"counter": "c", "window": "day", "max": 9, "increment_from": "args.a"}],
        }
        policy = {"version": "1", "default": "deny", "tools": {f"tool_{index}": rules for index in range(count)}}
        path = tmp_path / f"{count}.tar.gz"
        path.write_bytes(build({"p": compile_policy(json.dumps(policy).encode())}).data)
        question = {"policy": "p", "server": "s", "grant": "g", "tool": "tool_7", "args": {"a": 1}}
        command = [opa_path, "eval", "--bundle", path, "--stdin-input", "--profile", "--profile-limit", "100000"]
        done = subprocess.run(
            [*command, "data.mcp.gate.decision"], input=json.dumps(question).encode(), capture_output=True, timeout=60
        )
        answer = json.loads(done.stdout)
        assert answer["result"][0]["expressions"][0]["value"]["outcome"] == "allow"
        steps.append(sum(line["num_eval"] for line in answer["profile"]))
    assert steps[0] == steps[1]
