"""An HTTP/1.1 client for the call path: keep-alive connections over TCP, TLS or a unix socket.

Only what the call path needs: POST, GET and DELETE of bytes at hand, answers whole or streamed. No redirects,
no proxies, no decompression, no cookies. Everything off the hot path uses httpx.
"""

from sidecar.http1.client import Client, Origin
from sidecar.http1.connection import Headless, Response

__all__ = ["Client", "Headless", "Origin", "Response"]
