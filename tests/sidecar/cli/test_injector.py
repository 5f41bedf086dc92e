"""`regate injector` as it runs: real TLS, real files, and a clear line for what cannot be."""

import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import yaml

from sidecar.cli import main
from sidecar.injector.issue import Issued, issue
from tests.sidecar.injector.objects import SIDECAR, pod
from tests.sidecar.injector.test_review import question, response


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "sidecar.yaml"
    path.write_text(yaml.safe_dump(SIDECAR))
    return path


def shown(folder: Path, issued: Issued) -> list[str]:
    for name, data in (("tls.crt", issued.certificate), ("tls.key", issued.key), ("ca.crt", issued.authorities)):
        (folder / name).write_bytes(data)
    return ["--tls-cert", str(folder / "tls.crt"), "--tls-key", str(folder / "tls.key")]


@contextmanager
def running(template: Path, folder: Path, *words: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    ready = folder / "ready"
    command = [sys.executable, "-m", "sidecar", "injector", "--template", str(template), "--listen", "127.0.0.1:0"]
    with subprocess.Popen([*command, *words, "--ready-file", str(ready)], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert b"answers on port" in line, line
        try:
            yield f"https://localhost:{ready.read_text().strip()}", process
        finally:
            process.send_signal(signal.SIGINT)
            process.stderr.read()


def test_injector_answers_over_tls_and_shows_a_renewed_certificate(template: Path, tmp_path: Path) -> None:
    first, second = (issue(["localhost"], datetime.now(UTC)) for _ in range(2))
    with running(template, tmp_path, *shown(tmp_path, first)) as (url, process):
        trust = ssl.create_default_context(cadata=first.authorities.decode())
        with httpx.Client(verify=trust, base_url=url) as client:
            told = response(client.post("/mutate", content=question("Pod", pod())).content)
            assert told["patchType"] == "JSONPatch"
            assert client.get("/healthz").status_code == 200
            assert client.get("/mutate").status_code == 405
            assert client.post("/mutate", content=b"{}").status_code == 400
        shown(tmp_path, second)
        trust = ssl.create_default_context(cadata=second.authorities.decode())
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{url}/healthz", verify=trust)
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give --tls-cert and --tls-key, or --self-signed with --service and --webhook"),
        (["--tls-cert", "x"], "give --tls-cert and --tls-key"),
        (["--self-signed", "a/b"], "--self-signed goes with --service and --webhook"),
        (["--self-signed", "ab", "--service", "s", "--webhook", "w"], "--self-signed: must be NAMESPACE/NAME"),
        (["--tls-cert", "x", "--tls-key", "y", "--exempt-pods", "a"], "--exempt-pods: must be NAMESPACE/NAME"),
        (["--tls-cert", "x", "--tls-key", "y", "--listen", "8443"], "--listen: must be HOST:PORT"),
    ],
)
def test_injector_used_wrongly_says_how_in_a_line(
    template: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["injector", "--template", str(template), *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tls-cert", "none", "--tls-key", "none"], "none cannot be read"),
        (["--self-signed", "a/b", "--service", "s", "--webhook", "w"], "ca.crt cannot be read"),
        (["--tls-cert", "x", "--tls-key", "y", "--listen", "192.0.2.1:1"], "cannot be listened on"),
    ],
)
def test_injector_that_cannot_begin_says_why_in_a_line(
    template: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    listen = [] if "--listen" in words else ["--listen", "127.0.0.1:0"]
    assert main(["injector", "--template", str(template), *listen, *words]) == 1
    assert said in capsys.readouterr().err


def test_injector_without_a_proper_template_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sidecar.yaml"
    path.write_text("container: {}\n")
    assert main(["injector", "--template", str(path), "--tls-cert", "x", "--tls-key", "y"]) == 1
    assert "needs container and volumes" in capsys.readouterr().err
