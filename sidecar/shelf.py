"""A small bundle server: the *.tar.gz of a folder, by ETag, with long polling. Reads no policy and verifies nothing.

Source: OPA's documentation, "Bundle service API"; RFC 9110 (ETag), RFC 7240 (Prefer), RFC 9530 (Repr-Digest).
"""

import base64
import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sidecar.sources.archive import BundleRefused, unpack
from sidecar.sources.http import BUNDLES
from sidecar.sources.signatures import claimed

_NAME = re.compile(r"/([A-Za-z0-9_][A-Za-z0-9_.-]{0,200}\.tar\.gz)")
_WAIT = re.compile(r"(?:^|[,; ])wait=([0-9]{1,6})(?:$|[,; ])")
_LONGEST_WAIT_S = 600
_LOOK_S = 0.25
_SETTLED_NS = 2_000_000_000
_CONNECTIONS = 1000
_HEADER_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Held:
    """One file as it was read. `about` are headers that say what the bundle says of itself."""

    mark: tuple[int, ...]
    settled: bool
    data: bytes
    etag: str
    about: dict[str, str]


class Shelf:
    """The folder. Every thread may look."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, Held] = {}

    def look(self, name: str) -> Held | None:
        """The file as it is now; read only when it changed. None: there is none."""
        try:
            with (self._folder / name).open("rb") as file:
                before = self._held.get(name)
                status = Path(file.name).stat()
                mark = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
                if before is not None and before.settled and before.mark == mark:
                    return before
                data = file.read()
        except OSError:
            return None
        settled = time.time_ns() - status.st_mtime_ns > _SETTLED_NS
        digest = hashlib.sha256(data).digest()
        if before is not None and before.etag == f'"{digest.hex()}"':
            held = Held(mark, settled, before.data, before.etag, before.about)
        else:
            about = {"Repr-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:", **_about(data)}
            held = Held(mark, settled, data, f'"{digest.hex()}"', about)
        self._held[name] = held
        return held

    def wait(self, name: str, etag: str, wait_s: float) -> Held | None:
        """As `look`, once the file is another than the ETag's, or the time is over."""
        end = time.monotonic() + min(wait_s, _LONGEST_WAIT_S)
        while (held := self.look(name)) is not None and held.etag == etag and time.monotonic() < end:
            time.sleep(_LOOK_S)
        return held


def _about(data: bytes) -> dict[str, str]:
    """What a bundle says of itself: nobody has verified it."""
    try:
        files = unpack(data)
        manifest = json.loads(files[".manifest"])
        found = {"Bundle-Revision": manifest["revision"], "Bundle-Serial": manifest["metadata"].get("serial")}
        found["Bundle-Signature"] = claimed(files)
    except (BundleRefused, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    told = {name: str(value) for name, value in found.items() if value not in (None, "")}
    return {name: text for name, text in told.items() if _is_header(text)}


def _is_header(text: str) -> bool:
    return text.isascii() and text.isprintable() and len(text) <= _HEADER_CHARACTERS


class BundleServer(ThreadingHTTPServer):
    """Serves a shelf. `token` gives the bearer token that is asked for, or nothing; `tell` is told of each answer."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], shelf: Shelf, *, token: Callable[[], str], tell: Callable[[str], None]
    ) -> None:
        self.shelf = shelf
        self.token = token
        self.tell = tell
        self._free = threading.BoundedSemaphore(_CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """One thread for each connection, up to a bound; who comes then is turned away."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Frees the place when the connection ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: BundleServer
    protocol_version = "HTTP/1.1"
    timeout = 30
    server_version = "regate"
    sys_version = ""

    def do_GET(self) -> None:
        """A bundle, or 304."""
        if self.path == "/healthz":
            self._answer(200, b"ok\n", {"Content-Type": "text/plain"})
        elif not self._is_known():
            self._answer(401, b"", {"WWW-Authenticate": "Bearer"})
        elif (name := _NAME.fullmatch(self.path)) is None or (held := self._held(name[1])) is None:
            self._answer(404, b"", {})
        else:
            headers = {"ETag": held.etag, "Content-Type": BUNDLES, "Cache-Control": "no-cache", **held.about}
            unchanged = self.headers.get("If-None-Match") == held.etag
            self._answer(304 if unchanged else 200, b"" if unchanged else held.data, headers)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def _held(self, name: str) -> Held | None:
        etag = self.headers.get("If-None-Match", "")
        wanted = _WAIT.search(self.headers.get("Prefer", ""))
        if wanted is None or not etag:
            return self.server.shelf.look(name)
        return self.server.shelf.wait(name, etag, float(wanted[1]))

    def _is_known(self) -> bool:
        token = self.server.token()
        given = self.headers.get("Authorization", "")
        return not token or hmac.compare_digest(given.encode(), f"Bearer {token}".encode())

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True
        if status != 304:
            self.server.tell(f"{self.client_address[0]} {self.command} {self.path} {status}")
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Answers are told by `_answer`."""
