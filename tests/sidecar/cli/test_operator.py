import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sidecar.cli.operator import asked
from tests.answering import answering
from tests.certificates import Authority


@pytest.fixture
def served() -> Iterator[Callable[..., str]]:
    """Answers the operator at /status with this status and body; the address to ask."""
    with ExitStack() as stack:

        def serve(status: int, body: bytes, tls: ssl.SSLContext | None = None) -> str:
            def answer(*asked: str | None) -> tuple[int, bytes]:
                return (status if asked == ("/status", "Bearer token") else 404), body

            return answering(stack, answer, tls)

        yield serve


def test_answer_is_an_object(served: Callable[..., str]) -> None:
    assert asked(served(200, b'{"ready": true}'), "token", "/status") == {"ready": True}


@pytest.mark.parametrize(("status", "body"), [(404, b"{}"), (200, b"[]"), (200, b"{"), (200, b"\xff")])
def test_answer_that_is_no_object_is_none(served: Callable[..., str], status: int, body: bytes) -> None:
    assert asked(served(status, body), "token", "/status") is None


@pytest.mark.parametrize("path", ["/other", "/status\n", "/statüs"])
def test_question_that_is_not_answered_is_none(served: Callable[..., str], path: str) -> None:
    url = served(200, b"{}")
    assert asked(url, "token", path) is None
    assert asked(url, "another", "/status") is None


def test_gateway_that_is_gone_is_none() -> None:
    assert asked("http://127.0.0.1:9", "token", "/status") is None


def test_gateway_that_speaks_tls_is_asked_whatever_name_it_shows(served: Callable[..., str], tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*Authority().pair("gate.example").put(tmp_path))
    url = served(200, b'{"ready": true}', tls)
    assert asked(url, "token", "/status") == {"ready": True}
    assert asked(url.replace("https", "http"), "token", "/status") is None
