"""The template of a policy repository: what its CI does, done here in a clone of it, with a real git and a real OPA."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GITOPS = ROOT / "deploy" / "gitops"
TEMPLATE = GITOPS / "template"
WORKFLOW = TEMPLATE / ".github" / "workflows" / "policies.yaml"
PIPELINE = TEMPLATE / ".gitlab-ci.yml"
BRANCH = "bundles"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clone of a repository made from the template, with a first commit on main."""
    origin, clone = tmp_path / "origin.git", tmp_path / "clone"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", origin], check=True)
    shutil.copytree(TEMPLATE, clone)
    for command in (["init", "-q", "-b", "main"], ["remote", "add", "origin", str(origin)]):
        subprocess.run(["git", *command], cwd=clone, check=True)
    committed(clone, "First")
    return clone


def committed(repository: Path, message: str) -> None:
    author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    subprocess.run(["git", "add", "-A"], cwd=repository, check=True)
    subprocess.run(["git", *author, "commit", "-qm", message], cwd=repository, check=True)
    subprocess.run(["git", "push", "-q", "origin", "main"], cwd=repository, check=True)


@pytest.fixture
def ci(repository: Path, opa_path: Path) -> Run:
    """Runs a word of the script, as CI does."""
    environ = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(repository.parent),
        "REGATE_OPA": str(opa_path),
        **{f"GIT_{who}_{what}": "ada@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(["ci/policies.sh", *words], cwd=repository, env=environ, capture_output=True, text=True)

    return run


def edited(repository: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = repository / "policies" / "git.json"
    policy = json.loads(path.read_text())
    change(policy)
    path.write_text(json.dumps(policy, indent=2))


def longer_logs(policy: dict[str, Any]) -> None:
    policy["tools"]["git_log"]["deny_if"][0]["conditions"][0]["value"] = 50


@pytest.mark.parametrize("word", ["check", "test", "coverage"])
def test_template_as_it_is_passes(ci: Run, word: str) -> None:
    assert ci(word).returncode == 0


def test_mistake_in_any_policy_fails_the_check(ci: Run, repository: Path) -> None:
    (repository / "policies" / "a-broken.json").write_text('{"version": "1", "tools": {"t": {"limit": []}}}')
    done = ci("check")
    assert done.returncode == 1
    assert "a-broken.json:1:" in done.stdout + done.stderr
    assert "permits at most 3 of 12 tools" in done.stdout + done.stderr


def test_policy_without_cases_fails_the_tests(ci: Run, repository: Path) -> None:
    (repository / "policies" / "new.json").write_text('{"version": "1", "default": "deny"}')
    done = ci("test")
    assert done.returncode == 1
    assert "write tests/new.jsonl" in done.stderr


def test_change_that_cases_do_not_want_fails_the_tests(ci: Run, repository: Path) -> None:
    edited(repository, longer_logs)
    done = ci("test")
    assert done.returncode == 1
    assert "git-log" in done.stdout


def test_rule_without_a_case_fails_the_coverage(ci: Run, repository: Path) -> None:
    edited(repository, lambda policy: policy["hide"].append("git_commit"))
    done = ci("coverage")
    assert done.returncode == 1
    assert "git_commit" in done.stdout


def test_difference_tells_what_a_change_does_to_calls(ci: Run, repository: Path) -> None:
    edited(repository, longer_logs)
    done = ci("diff", "main")
    assert done.returncode == 0
    assert "### git" in done.stdout
    assert "looser" in done.stdout
    assert "git_log" in done.stdout


def test_difference_names_policies_that_came_and_went(ci: Run, repository: Path) -> None:
    (repository / "policies" / "git.json").rename(repository / "policies" / "new.json")
    said = ci("diff", "main").stdout
    assert re.search(r"### git\nThe policy is gone\.", said)
    assert re.search(r"### new\nA new policy\.", said)


def test_difference_of_nothing_says_so(ci: Run) -> None:
    assert ci("diff", "main").stdout == "No policy has changed.\n"


def test_difference_from_an_unknown_commit_is_refused(ci: Run) -> None:
    done = ci("diff", "nowhere")
    assert done.returncode == 2
    assert done.stderr == "no such commit: nowhere\n"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path],
        check=True,
        capture_output=True,
    )
    return path


def metadata(bundle: Path) -> dict[str, Any]:
    with tarfile.open(bundle) as archive:
        manifest = archive.extractfile(".manifest")
        assert manifest is not None
        found: dict[str, Any] = json.load(manifest)["metadata"]
        return found


def looser(bundle: Path, into: Path) -> None:
    """A copy with the same signatures and another number in a policy."""
    with tarfile.open(bundle) as archive, tarfile.open(into, "w:gz") as copy:
        for member in archive:
            held = archive.extractfile(member)
            assert held is not None
            content = held.read()
            if member.name.endswith("git.rego"):
                content = content.replace(b"50", b"90")
            copy.addfile(member, io.BytesIO(content))


def test_bundle_is_signed_and_its_serial_grows_with_the_history(
    ci: Run, repository: Path, key: Path, opa_path: Path, tmp_path: Path
) -> None:
    first, second, public = tmp_path / "1.tar.gz", tmp_path / "2.tar.gz", tmp_path / "public.pem"
    assert ci("build", str(key), str(first)).returncode == 0
    edited(repository, longer_logs)
    committed(repository, "Longer logs")
    assert ci("build", str(key), str(second)).returncode == 0
    assert [metadata(bundle)["serial"] for bundle in (first, second)] == [1, 2]
    subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
    forged = tmp_path / "forged.tar.gz"
    looser(second, forged)
    verify = [opa_path, "build", "--verification-key", public, "--signing-alg", "ES256", "-o", tmp_path / "out.tar.gz"]
    done = [subprocess.run([*verify, "-b", bundle], capture_output=True, text=True) for bundle in (second, forged)]
    assert done[0].returncode == 0, done[0].stderr
    assert done[1].returncode == 1
    assert "digest mismatch" in done[1].stdout


def test_uncommitted_policy_is_not_built(ci: Run, repository: Path, key: Path, tmp_path: Path) -> None:
    edited(repository, longer_logs)
    assert ci("build", str(key), str(tmp_path / "b.tar.gz")).returncode != 0
    assert not (tmp_path / "b.tar.gz").exists()


def test_shallow_clone_is_not_built(repository: Path, ci: Run, key: Path, tmp_path: Path) -> None:
    edited(repository, longer_logs)
    committed(repository, "Longer logs")
    tip = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True)
    (repository / ".git" / "shallow").write_text(tip.stdout)
    done = ci("build", str(key), str(tmp_path / "b.tar.gz"))
    assert (done.returncode, done.stderr) == (2, "the clone is shallow: fetch it whole\n")


def test_push_adds_a_commit_for_each_new_bundle_and_none_for_the_same(
    ci: Run, repository: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    for content in (b"one", b"one", b"two"):
        bundle.write_bytes(content)
        assert ci("push", str(bundle), BRANCH).returncode == 0
    git = ["git", "-C", repository.parent / "origin.git"]
    listed = subprocess.run([*git, "log", "--format=%h", "--name-only", BRANCH], check=True, capture_output=True)
    files = subprocess.run([*git, "ls-tree", "--name-only", BRANCH], check=True, capture_output=True, text=True)
    held = subprocess.run([*git, "show", f"{BRANCH}:bundle.tar.gz"], check=True, capture_output=True)
    assert files.stdout.split() == ["bundle.tar.gz", "kustomization.yaml"]
    assert held.stdout == b"two"
    assert listed.stdout.count(b"bundle.tar.gz") == 2
    status = subprocess.run(["git", "status", "--short"], cwd=repository, check=True, capture_output=True)
    assert status.stdout == b""


def test_unknown_word_prints_what_there_is(ci: Run) -> None:
    done = ci("chek")
    assert done.returncode == 2
    assert "policies.sh check" in done.stderr


def words(text: str) -> set[str]:
    return set(re.findall(r"ci/policies\.sh (\w+)", text))


WORDS = {"check", "test", "coverage", "diff", "build", "push"}


@pytest.mark.parametrize("path", [WORKFLOW, PIPELINE], ids=lambda path: path.name)
def test_workflow_calls_every_word_of_the_script(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    assert words(json.dumps(document)) == WORDS


def test_workflow_of_github_keeps_the_key_from_pull_requests() -> None:
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    assert jobs["publish"]["if"] == "github.event_name == 'push'"
    assert "secrets." not in json.dumps(jobs["check"])


def test_pipeline_of_gitlab_keeps_the_key_from_merge_requests() -> None:
    pipeline = yaml.safe_load(PIPELINE.read_text())
    assert pipeline["publish"]["rules"] == [{"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"}]
    assert not [name for name in ("check", "diff") if "BUNDLE_KEY" in json.dumps(pipeline[name])]


def test_flux_and_argo_watch_the_branch_that_the_script_pushes() -> None:
    repository, kustomization = yaml.safe_load_all((GITOPS / "flux" / "bundles.yaml").read_text())
    application = yaml.safe_load((GITOPS / "argocd" / "bundles.yaml").read_text())
    assert repository["spec"]["ref"]["branch"] == application["spec"]["source"]["targetRevision"] == BRANCH
    assert kustomization["spec"]["sourceRef"]["name"] == repository["metadata"]["name"]
    assert f'push "$RUNNER_TEMP/bundle.tar.gz" {BRANCH}' in WORKFLOW.read_text()
    assert f'push "$CI_BUILDS_DIR/bundle.tar.gz" {BRANCH}' in PIPELINE.read_text()
