import json
import os
import resource
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sidecar import statedir
from sidecar.checkup import Wanted, check, wanted
from tests.answering import answering
from tests.certificates import Authority

ROOT = Path(__file__).parents[2]
READY = (200, {"ready": True, "reasons": []})
ILL = (503, {"ready": False, "reasons": ["OPA does not answer", "the store cannot be written: full"]})


@pytest.fixture
def served() -> Iterator[Callable[..., str]]:
    """Lives, and answers /readyz with a status and a document; the address to ask."""
    with ExitStack() as stack:

        def serve(status: int, document: object, tls: ssl.SSLContext | None = None) -> str:
            def answer(path: str, _: str | None) -> tuple[int, bytes]:
                return (200 if path == "/healthz" else status), json.dumps(document).encode()

            return answering(stack, answer, tls)

        yield serve


def test_gateway_that_is_ready_is_well(served: Callable[..., str]) -> None:
    url = served(*READY)
    assert check(Wanted(url)) == (True, f"{url} is ready")
    assert check(Wanted(url, live=True)) == (True, f"{url} lives")


def test_gateway_that_is_not_ready_tells_why_and_lives(served: Callable[..., str]) -> None:
    url = served(*ILL)
    told = f"{url} is not ready: OPA does not answer; the store cannot be written: full"
    assert check(Wanted(url)) == (False, told)
    assert check(Wanted(url, live=True))[0]


def test_gateway_is_asked_over_tls_whatever_name_it_shows(served: Callable[..., str], tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*Authority().pair().put(tmp_path))
    url = served(*READY, tls)
    assert check(Wanted(url)) == (True, f"{url} is ready")


def test_gateway_that_does_not_answer_is_not_well() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert check(Wanted(url)) == (False, f"{url} does not answer: connection refused")


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 \xff\xff x\r\n\r\n"])
def test_what_is_no_gateway_is_not_well(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert check(Wanted(url)) == (False, f"{url} does not answer: its answer is not http")
        thread.join()


def test_gateways_on_a_state_directory_are_all_asked(served: Callable[..., str], tmp_path: Path) -> None:
    assert check(Wanted(state=tmp_path)) == (False, f"no gateway runs on {tmp_path}")
    with ExitStack() as stack:
        for pid, url in ((1, served(*READY)), (os.getpid(), served(*ILL))):
            stack.enter_context(statedir.announced(tmp_path, statedir.Gateway(url, pid)))
        well, line = check(Wanted(state=tmp_path))
    assert not well
    assert "is ready; " in line
    assert "is not ready: OPA does not answer" in line


@pytest.mark.parametrize("url", ["localhost:8700", "ftp://h", "http://", "http:///x", "http://h:99999999"])
def test_url_that_is_none_is_an_error(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        check(Wanted(url))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--url", "http://h"], Wanted("http://h")),
        (["--url=http://h", "--live"], Wanted("http://h", live=True)),
        (["--state", "/s", "--ready"], Wanted(state=Path("/s"))),
        (["--state=/s", "--live", "--ready"], Wanted(state=Path("/s"))),
        ([], None),
        (["--help"], None),
        (["--url"], None),
        (["--url="], None),
        (["--live=1"], None),
        (["x"], None),
    ],
)
def test_plain_arguments_are_read_and_others_left(
    arguments: list[str], expected: Wanted | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REGATE_STATE", raising=False)
    assert wanted(arguments) == expected


def test_environment_names_the_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGATE_STATE", "/s")
    assert wanted([]) == Wanted(state=Path("/s"))


def test_probe_takes_little_time(served: Callable[..., str]) -> None:
    command = [sys.executable, "-m", "sidecar", "health", "--url", served(*READY)]
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.stdout.endswith(" is ready\n")
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(taken) < 0.15
    modules = "import sys; sys.argv[1:] = ['health', '--url', 'http://127.0.0.1:9']; from sidecar.__main__ import main"
    loaded = f"{modules}; main(); print([name for name in ('typer', 'pydantic', 'ssl') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
