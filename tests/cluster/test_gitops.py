"""Policies in git, by real Flux: what is pushed is in force in a pod that goes on running, and what is older is not."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import kube, till
from tests.cluster.gitserver import GitServer
from tests.cluster.kube import POLICY, Agent, Record

GITOPS = kube.DEPLOY / "gitops"
BRANCH = "bundles"
PAY = ("pay", {"to": "ann", "amount": 300})
CACHE = Path(os.environ.get("K8S_CACHE", kube.ROOT / ".cache" / "k8s"))


class Repository:
    """One made from the template, with a policy for the sample server, and the origin that Flux fetches."""

    def __init__(self, folder: Path, opa: Path) -> None:
        self.origin, self.clone, self.key = folder / "served" / "policies.git", folder / "clone", folder / "key.pem"
        self.public = folder / "public.pem"
        self._environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "REGATE_OPA": str(opa),
            **{f"GIT_{who}_{what}": "ada@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        self._run("git", "init", "-q", "--bare", "-b", "main", self.origin, cwd=folder)
        shutil.copytree(GITOPS / "template", self.clone)
        (self.clone / "policies" / "git.json").unlink()
        self._run("git", "init", "-q", "-b", "main")
        self._run("git", "remote", "add", "origin", self.origin)
        self._run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key)
        self._run("openssl", "ec", "-in", self.key, "-pubout", "-out", self.public)

    def _run(self, *command: str | Path, cwd: Path | None = None) -> None:
        done = subprocess.run(
            command, cwd=cwd or self.clone, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def commit(self, most: int) -> Path:
        """A policy that lets this much be paid, committed to main; its signed bundle."""
        policy: dict[str, Any] = json.loads(json.dumps(POLICY))
        policy["tools"]["pay"]["deny_if"][0]["conditions"][0]["value"] = most
        (self.clone / "policies" / "careful.json").write_text(json.dumps(policy, indent=2), encoding="utf-8")
        self._run("git", "add", "-A")
        self._run("git", "commit", "-qm", f"At most {most}")
        self._run("git", "push", "-q", "origin", "main")
        bundle = self.key.parent / f"{most}" / "bundle.tar.gz"
        bundle.parent.mkdir()
        self._run("ci/policies.sh", "build", self.key, bundle)
        return bundle

    def push(self, bundle: Path) -> None:
        self._run("ci/policies.sh", "push", bundle, BRANCH)


@contextmanager
def flux(namespace: str, folder: Path) -> Iterator[None]:
    """Both controllers, beside this test, at the cluster of $KUBECONFIG."""
    kube.kubectl("apply", "--server-side", "-f", str(CACHE / "flux-crds"))
    kube.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    environment = os.environ | {"RUNTIME_NAMESPACE": namespace}
    quiet = ["--metrics-addr=0", "--health-addr=0", "--events-addr=", "--watch-all-namespaces=false"]
    served = ["--storage-addr=127.0.0.1:28091", "--storage-adv-addr=127.0.0.1:28091", f"--storage-path={folder}"]
    with (folder / "source.log").open("wb") as one, (folder / "kustomize.log").open("wb") as two:
        running = [
            subprocess.Popen(
                [CACHE / "bin" / "source-controller", *served, *quiet], env=environment, stdout=one, stderr=one
            ),
            subprocess.Popen([CACHE / "bin" / "kustomize-controller", *quiet], env=environment, stdout=two, stderr=two),
        ]
        try:
            yield
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(60)


def test_git_push_changes_a_decision_without_a_restart_and_an_older_bundle_does_not(
    namespace: str, agent: Agent, opa_path: Path, tmp_path: Path, record_property: Record
) -> None:
    """A commit to the policy repository, built, signed and pushed as its CI does, changes what a running pod decides,
    by Flux' source-controller and kustomize-controller; an older bundle, pushed again, changes nothing."""
    (tmp_path / "served").mkdir()
    (tmp_path / "storage").mkdir()
    repository = Repository(tmp_path, opa_path)
    old = repository.commit(100)
    repository.push(old)
    server = GitServer(tmp_path / "served")
    with flux(namespace, tmp_path / "storage"):
        objects = list(yaml.safe_load_all((GITOPS / "flux" / "bundles.yaml").read_text(encoding="utf-8")))
        for one in objects:
            one["metadata"]["namespace"] = namespace
            if one["kind"] == "GitRepository":
                one["spec"] |= {"url": f"{server.url}/policies.git", "interval": "5s"}
            else:
                one["spec"]["targetNamespace"] = namespace
        try:
            kube.apply(*objects, namespace=namespace)
            ready = ("-n", namespace, "wait", "--for=condition=Ready", f"--timeout={kube.DEADLINE_S}s")
            kube.kubectl(*ready, "gitrepository/regate-policies", "kustomization/regate-policies")
            scene(namespace, agent, repository, old, record_property)
        finally:
            kube.kubectl("-n", namespace, "delete", "kustomization,gitrepository", "--all", "--timeout=60s")
            server.shutdown()
            server.server_close()


def scene(namespace: str, agent: Agent, repository: Repository, old: Path, record_property: Record) -> None:
    bundle = {
        "url": "file:///etc/regate/policies/bundle.tar.gz",
        "keys": [{"file": "policies/public.pem", "alg": "ES256"}],
    }
    values = till.chart_values(bundle=bundle)
    values["policyFiles"] = {"public.pem": repository.public.read_text(encoding="utf-8")}
    values["policyConfigMaps"] = [{"name": "regate-bundle", "keys": ["bundle.tar.gz"]}]
    url = till.install(namespace, values)

    def pods() -> list[tuple[str, list[int]]]:
        found = kube.found("-n", namespace, "pods", "-l", "app.kubernetes.io/name=regate")["items"]
        members = ("initContainerStatuses", "containerStatuses")
        return [
            (pod["metadata"]["uid"], [one["restartCount"] for kind in members for one in pod["status"][kind]])
            for pod in found
        ]

    def pays() -> bool:
        _, ((failed, text),) = agent.does(url, PAY)
        assert failed == ("Too much." in text), text
        return not failed

    def log() -> str:
        return kube.kubectl("-n", namespace, "logs", "deployment/regate", "-c", "regate")

    begun = pods()
    assert not pays()
    new = repository.commit(500)
    repository.push(new)
    pushed = time.monotonic()
    kube.eventually(pays, "the push is in force", 300)
    record_property("from push to decision", f"{time.monotonic() - pushed:.0f} s")
    repository.push(old)
    pushed = time.monotonic()
    kube.eventually(lambda: "The bundle is older than one that was in force" in log(), "the older one is refused", 300)
    record_property("the older bundle refused after", f"{time.monotonic() - pushed:.0f} s")
    assert pays()
    assert pods() == begun
