"""What `regate build` writes, used by the stock OPA that somebody already runs: no flag, no file of ours beside it."""

import contextlib
import functools
import gzip
import json
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPConnection
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.archives import unpack

Regate = Callable[..., Any]
Opa = Callable[..., subprocess.CompletedProcess[str]]

POLICY = json.dumps(
    {
        "version": "1",
        "default": "deny",
        "hide": ["drop"],
        "tools": {
            "pay": {
                "require": ["args.to"],
                "deny_if": [{"path": "args.amount", "op": "gt", "value": 500, "on_deny": "Too much."}],
                "require_approval": [{"path": "args.to", "op": "regex", "value": "^x"}],
                "limits": [{"counter": "pay", "window": "day", "max": 9, "increment_from": "args.amount"}],
            }
        },
    }
)
TEST = """package pay_test

import data.mcp.gate

test_pay_above_500_is_denied if {
	call := {"policy": "pay", "server": "s", "grant": "g", "tool": "pay", "args": {"to": "a", "amount": 501}}
	answer := gate.decision with input as call
	answer.rule == "/tools/pay/deny_if/args.amount-gt"
}
"""
ASK = {"policy": "pay", "server": "s", "grant": "g", "tool": "pay", "args": {"to": "a", "amount": 500}}


@pytest.fixture
def opa(opa_path: Path) -> Opa:
    def run(*arguments: str | Path, asked: object = None) -> subprocess.CompletedProcess[str]:
        command = [opa_path, *arguments]
        return subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture
def bundle(regate: Regate) -> Path:
    Path("pay.json").write_text(POLICY, encoding="utf-8")
    Path("other pay.json").write_text(POLICY, encoding="utf-8")
    assert regate("build", "pay.json", "other pay.json", "-o", "bundle.tar.gz", "--serial", "7").code == 0
    return Path("bundle.tar.gz")


def test_bundle_is_loaded_by_opa_run_and_eval(bundle: Path, opa: Opa) -> None:
    done = opa("run", "--bundle", bundle)
    assert done.returncode == 0, done.stderr
    done = opa("eval", "--bundle", bundle, "--stdin-input", "--format", "raw", "data.mcp.gate.decision", asked=ASK)
    assert json.loads(done.stdout)["outcome"] == "allow"


def test_bundle_is_read_by_opa_inspect(bundle: Path, opa: Opa) -> None:
    found = json.loads(opa("inspect", "--format", "json", bundle).stdout)
    assert found["manifest"]["roots"] == ["mcp"]
    assert found["manifest"]["metadata"]["serial"] == 7
    assert 'data.mcp.policies["other pay"]' in found["namespaces"]


def test_bundle_is_tested_by_opa_test(bundle: Path, opa: Opa) -> None:
    Path("tests").mkdir()
    Path("tests/pay_test.rego").write_text(TEST, encoding="utf-8")
    done = opa("test", bundle, "tests/pay_test.rego")
    assert (done.returncode, done.stdout) == (0, "PASS: 1/1\n")
    Path("tests/.manifest").write_text('{"roots": ["pay_test"]}', encoding="utf-8")
    done = opa("test", "--bundle", bundle, "--bundle", "tests")
    assert (done.returncode, done.stdout) == (0, "PASS: 1/1\n")


def test_bundle_passes_opa_check_strict_and_fmt(bundle: Path, opa: Opa, tmp_path: Path) -> None:
    done = opa("check", "--strict", "--bundle", bundle)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    unpack(bundle.read_bytes(), tmp_path / "unpacked")
    done = opa("fmt", "--diff", "--fail", tmp_path / "unpacked")
    assert (done.returncode, done.stdout) == (0, "")


def test_bundle_names_every_rule_by_its_id_on_a_line_of_its_own(bundle: Path) -> None:
    with tarfile.open(bundle) as archive:
        lines = archive.extractfile("mcp/policies/pay.rego").read().decode().splitlines()  # type: ignore[union-attr]
    for rule in ("require/args.to-exists", "deny_if/args.amount-gt", "require_approval/args.to-regex", "limits/pay"):
        assert any(f'"/tools/pay/{rule}"' in line for line in lines)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "PS256", "HS256"])
def test_signed_bundle_is_verified_by_opa_and_one_changed_byte_is_refused(
    bundle: Path, regate: Regate, opa: Opa, algorithm: str
) -> None:
    if algorithm == "HS256":
        Path("key").write_text("0123456789abcdef" * 2, encoding="utf-8")
        Path("public").write_bytes(Path("key").read_bytes())
    else:
        key: Any = (
            ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else rsa.generate_private_key(65537, 2048)
        )
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        Path("key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        Path("public").write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    assert (
        regate("build", "pay.json", "other pay.json", "-o", "s.tar.gz", "--sign", "key", "--alg", algorithm).code == 0
    )
    verify = ("--verification-key", "public", "--signing-alg", algorithm)
    assert opa("run", "--bundle", "s.tar.gz", *verify).returncode == 0
    unpacked = gzip.decompress(Path("s.tar.gz").read_bytes())
    for old, new in ((b"Too much.", b"Too many."), (b'"rego_version": 1', b'"rego_version": 0')):
        assert unpacked.count(old) > 0
        Path("changed.tar.gz").write_bytes(gzip.compress(unpacked.replace(old, new, 1)))
        refused = opa("run", "--bundle", "changed.tar.gz", *verify)
        assert (refused.returncode, "digest mismatch" in refused.stdout + refused.stderr) == (1, True)
    assert opa("run", "--bundle", bundle, *verify).returncode == 1


def test_bundles_of_two_teams_stand_beside_one_library_in_one_opa(regate: Regate, opa: Opa) -> None:
    for team in ("one", "two"):
        Path(team).mkdir()
        Path(team, f"{team} pay.json").write_text(POLICY, encoding="utf-8")
        assert regate("build", team, "--part", "policies", "-o", f"{team}.tar.gz").code == 0
    assert regate("build", "--part", "library", "-o", "library.tar.gz").code == 0
    bundles = [word for name in ("two", "library", "one") for word in ("--bundle", f"{name}.tar.gz")]
    answers = {}
    for policy in ("one pay", "two pay", "three pay"):
        query = ("--stdin-input", "--format", "raw", "data.mcp.gate.decision")
        done = opa("eval", *bundles, *query, asked=ASK | {"policy": policy})
        assert done.returncode == 0, done.stdout
        answers[policy] = json.loads(done.stdout)["outcome"]
    assert answers == {"one pay": "allow", "two pay": "allow", "three pay": "deny"}
    Path("again.tar.gz").write_bytes(Path("one.tar.gz").read_bytes())
    clash = opa("eval", *bundles, "--bundle", "again.tar.gz", "data.mcp")
    assert (clash.returncode, "overlapping roots" in clash.stdout) == (2, True)


def test_bundles_that_opa_fetches_work_in_whatever_order_they_come(regate: Regate, opa_path: Path) -> None:
    """Until the library is there OPA has no decision, which is a denial; then it has all of them."""
    served = Path("served")
    served.mkdir()
    Path("pay.json").write_text(POLICY, encoding="utf-8")
    assert regate("build", "pay.json", "--part", "policies", "-o", "served/team.tar.gz").code == 0
    handler = functools.partial(_Quiet, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, ExitStack() as stack:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        polling = {"min_delay_seconds": 1, "max_delay_seconds": 1}
        bundles = {
            name: {"service": "s", "resource": f"{name}.tar.gz", "polling": polling} for name in ("team", "library")
        }
        config = {"services": {"s": {"url": f"http://127.0.0.1:{server.server_port}"}}, "bundles": bundles}
        Path("config.json").write_text(json.dumps(config), encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        command = [opa_path, "run", "--server", "--addr", f"127.0.0.1:{port}", "--config-file", "config.json"]
        running = subprocess.Popen(
            [*command, "--skip-version-check"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        stack.callback(running.wait)
        stack.callback(running.kill)
        assert _eventually(port, lambda answer: answer == {})
        assert regate("build", "--part", "library", "-o", "served/library.tar.gz").code == 0
        assert _eventually(port, lambda answer: answer.get("result", {}).get("outcome") == "allow")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def _eventually(port: int, wanted: Callable[[dict[str, Any]], bool]) -> bool:
    """Does OPA come to answer so, within half a minute?"""
    pause, until = threading.Event(), time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(OSError, ValueError), contextlib.closing(HTTPConnection("127.0.0.1", port)) as asked:
            asked.request("POST", "/v1/data/mcp/gate/decision", json.dumps({"input": ASK}))
            if wanted(json.loads(asked.getresponse().read())):
                return True
        pause.wait(0.1)
    return False
