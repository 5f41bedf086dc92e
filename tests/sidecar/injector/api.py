"""A stand-in for the part of the Kubernetes API that the injector asks: a Secret with versions, and two webhooks.

It answers over real HTTP. The real API server is asked by `make test-cluster`.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRETS = "/api/v1/namespaces/regate/secrets"
REGISTRATION = "/apis/admissionregistration.k8s.io/v1/"


class Api:
    """What the cluster holds, and what it was asked. `beaten`: the next writes of the Secret come second."""

    def __init__(self) -> None:
        self.secret: dict[str, Any] | None = None
        self.hooks: dict[str, list[dict[str, Any]]] = {
            kind: [{"name": f"{number}.regate.dev", "clientConfig": {}} for number in range(2)]
            for kind in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
        }
        self.asked: list[tuple[str, str, str]] = []
        self.beaten = 0
        self.broken: bytes | None = None
        self.version = 0
        self.url = ""

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if path.startswith(REGISTRATION):
            hooks = self.hooks[path.split("/")[4]]
            for change in (body or {}).get("webhooks", []):
                (hook,) = (one for one in hooks if one["name"] == change["name"])
                hook["clientConfig"] |= change["clientConfig"]
            return 200, {"webhooks": hooks}
        if method == "GET":
            return (404, {}) if self.secret is None else (200, self.secret)
        known = self.secret["metadata"]["resourceVersion"] if self.secret is not None else None
        if self.beaten or body["metadata"].get("resourceVersion") != known:
            self.beaten -= 1
            return 409, {}
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.secret = body
        return 200, body


@contextmanager
def serving() -> Iterator[Api]:
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"] or 0)) or b"null")
            api.asked.append((self.command, self.path, self.headers["authorization"]))
            status, told = api.answer(self.command, self.path, body)
            data = json.dumps(told).encode() if api.broken is None else api.broken
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = _answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
