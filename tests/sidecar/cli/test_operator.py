import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sidecar.cli.operator import asked


@pytest.fixture
def served() -> Iterator[Callable[[int, bytes], str]]:
    """Answers the operator at /status with this status and body; the address to ask."""
    with ExitStack() as stack:

        def serve(status: int, body: bytes) -> str:
            class Handler(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    mine = (self.path, self.headers["Authorization"]) == ("/status", "Bearer token")
                    self.send_response(status if mine else 404)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

                def log_message(self, format: str, *args: object) -> None:
                    pass

            server = stack.enter_context(HTTPServer(("127.0.0.1", 0), Handler))
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}"

        yield serve


def test_answer_is_an_object(served: Callable[[int, bytes], str]) -> None:
    assert asked(served(200, b'{"ready": true}'), "token", "/status") == {"ready": True}


@pytest.mark.parametrize(("status", "body"), [(404, b"{}"), (200, b"[]"), (200, b"{"), (200, b"\xff")])
def test_answer_that_is_no_object_is_none(served: Callable[[int, bytes], str], status: int, body: bytes) -> None:
    assert asked(served(status, body), "token", "/status") is None


@pytest.mark.parametrize("path", ["/other", "/status\n", "/statüs"])
def test_question_that_is_not_answered_is_none(served: Callable[[int, bytes], str], path: str) -> None:
    url = served(200, b"{}")
    assert asked(url, "token", path) is None
    assert asked(url, "another", "/status") is None


def test_gateway_that_is_gone_is_none() -> None:
    assert asked("http://127.0.0.1:9", "token", "/status") is None
