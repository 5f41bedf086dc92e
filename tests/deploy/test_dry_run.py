"""An API server takes every manifest, in a dry run. Needs a KUBECONFIG and kubectl; the cluster is not changed."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts import render
from tests.deploy.objects import MANIFESTS, Object, objects

NAMESPACE = "default"
OTHERS = ("monitoring.coreos.com/", "external-secrets.io/", "cert-manager.io/")
"""Whose kinds a bare API server does not know; kubeconform has looked at them."""
FOLDERS = [*sorted(render.OVERLAYS.iterdir()), render.OVERLAYS.parent / "injector"]

pytestmark = [
    pytest.mark.skipif(not os.environ.get("KUBECONFIG"), reason="no KUBECONFIG is given"),
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not here"),
]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.stem)
def test_api_server_takes_each_object_in_a_dry_run(manifest: Path) -> None:
    for one in objects(manifest.read_text(encoding="utf-8")).all:
        ran = _apply(one)
        assert ran.returncode == 0, ran.stderr


@pytest.mark.skipif(not (render.TOOLS / "kustomize").exists(), reason="`make test-deploy` brings kustomize")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_api_server_takes_what_each_overlay_has_beyond_that(folder: Path) -> None:
    ours = [one for one in objects(render.kustomized(folder)).all if not one["apiVersion"].startswith(OTHERS)]
    assert ours
    for one in ours:
        ran = _apply(one)
        assert ran.returncode == 0, (one["kind"], ran.stderr)


def test_api_server_refuses_a_field_that_nobody_knows() -> None:
    (service,) = objects(MANIFESTS[0].read_text(encoding="utf-8")).of("Service")
    service["spec"]["sessionAfinity"] = "None"
    assert _apply(service).returncode != 0


def _apply(one: Object) -> subprocess.CompletedProcess[bytes]:
    """In a namespace that is there: in a dry run ours cannot be made first."""
    one["metadata"]["namespace"] = NAMESPACE
    command = ["kubectl", "apply", "--server-side", "--validate=strict", "--dry-run=server", "-f", "-"]
    return subprocess.run(command, input=json.dumps(one).encode(), capture_output=True, timeout=60)
