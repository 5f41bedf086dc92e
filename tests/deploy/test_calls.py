"""The script of `helm test`, before a real gateway."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.gateway import Gateway, running
from tests.deploy.objects import DEPLOY, ROOT

SCRIPT = DEPLOY / "helm" / "regate" / "files" / "calls.py"
POLICY = '{"version": "1", "default": "deny", "tools": {"add": {}}}'
ADD = {"name": "add", "arguments": {"a": 1, "b": 2}}
COUNT = {"name": "count", "arguments": {"to": 1}}


@pytest.fixture(scope="module")
def gateway(opa_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "policy.json").write_text(POLICY, encoding="utf-8")
    server = ["--name", "abacus", "--", sys.executable, str(ROOT / "tests" / "servers" / "abacus.py")]
    with running(folder / "policy.json", server, folder) as started:
        (folder / "token").write_text(started.token, encoding="utf-8")
        yield started


def _test(gateway: Gateway, **values: Any) -> subprocess.CompletedProcess[str]:
    base = gateway.url.removesuffix("/mcp")
    values = {"server": "abacus", "allowed": {}, "denied": {}, **values}
    command = [sys.executable, "-I", str(SCRIPT), base, json.dumps(values), str(gateway.state.parent / "token")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_call_that_passes_and_call_that_is_denied_are_as_they_should_be(gateway: Gateway) -> None:
    ran = _test(gateway, allowed=ADD, denied=COUNT)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[0] == "ready"
    assert ran.stdout.splitlines()[1] == "allowed: add: as it should be: no denial"
    assert "(default deny)" in ran.stdout.splitlines()[2]


@pytest.mark.parametrize("values", [{"allowed": COUNT}, {"denied": ADD}], ids=["denied", "allowed"])
def test_call_that_goes_the_wrong_way_fails_the_test(gateway: Gateway, values: dict[str, Any]) -> None:
    ran = _test(gateway, **values)
    assert ran.returncode == 1
    assert "WRONG" in ran.stdout


def test_without_a_server_only_readiness_is_asked(gateway: Gateway) -> None:
    ran = _test(gateway, server="")
    assert (ran.returncode, ran.stdout.splitlines()[0]) == (0, "ready")
