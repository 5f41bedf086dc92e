"""A stand-in for whoever answers GETs, over real HTTP, with TLS or without. No test is here."""

import ssl
import threading
from collections.abc import Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer

Answer = Callable[[str, str | None], tuple[int, bytes]]
"""The path asked for and the Authorization header → status and body."""


def answering(stack: ExitStack, answer: Answer, tls: ssl.SSLContext | None = None) -> str:
    """The address of a server that answers so until the stack is left."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path, self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = stack.enter_context(HTTPServer(("127.0.0.1", 0), Handler))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    stack.callback(thread.join)
    stack.callback(server.shutdown)
    return f"http{'s' if tls is not None else ''}://127.0.0.1:{server.server_port}"
