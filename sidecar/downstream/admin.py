"""The gateway's pages at an address of their own, for probes, Prometheus and the operator. Serves no MCP.

It is up before anything else, and until everything else is down, so that a probe learns why not yet, or no more.
"""

import json
from collections.abc import Collection
from functools import partial
from ipaddress import ip_address

from sidecar.downstream.guard import RequestRefused, host_name
from sidecar.downstream.pages import Pages
from sidecar.downstream.request import Answering, Head, Whole, Writer
from sidecar.errors import SidecarError

_JSON = (b"content-type", b"application/json")


class Admin:
    """Answers GET and HEAD. `pages` are there while the gateway serves; `stage` says why they are not.

    `hosts` are names that `Host` may carry besides addresses: a web page could have any other name point here.
    """

    body_limit_bytes = 1024

    def __init__(self, hosts: Collection[str]) -> None:
        self._hosts = hosts
        self.pages: Pages | None = None
        self.stage = "starting"

    def admit(self, head: Head) -> Answering:
        """How a request will be answered. Raises: RequestRefused."""
        host = head.headers.get(b"host", [])
        if len(host) != 1 or not self._is_ours(host_name(host[0][:256])):
            raise RequestRefused(421, "This Host is not served here; add it to allowed_hosts.")
        if head.method not in ("GET", "HEAD"):
            raise RequestRefused(405, "Only GET and HEAD are served here.")
        return partial(self._answer, head)

    def refuse(self, _head: Head | None, error: SidecarError) -> Whole:
        """The answer to a request that is not admitted."""
        status = getattr(error, "http_status", 400)
        allow = [(b"allow", b"GET, HEAD")] if status == 405 else []
        return status, [_JSON, *allow], json.dumps({"error": str(error)}).encode()

    async def _answer(self, head: Head, _body: bytes, writer: Writer) -> None:
        if head.path in ("/livez", "/healthz"):
            await writer.write(200, [_JSON], b'{"ok":true}')
        elif self.pages is None:
            body = {"ready": False, "reasons": [f"the gateway is {self.stage}"]}
            await writer.write(503, [_JSON], json.dumps(body).encode())
        elif head.path == "/startupz":
            await writer.write(200, [_JSON], b'{"ok":true}')
        else:
            await writer.write(*await self.pages.answer(head.path, head.headers, is_private=True))

    def _is_ours(self, name: str) -> bool:
        if name in self._hosts or "*" in self._hosts:
            return True
        try:
            return bool(ip_address(name))
        except ValueError:
            return False
