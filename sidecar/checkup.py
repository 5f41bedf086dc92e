"""Asks a gateway how it is, as a probe does: little is imported, since a probe runs every few seconds.

`regate health` is documented in `cli/health`; what is asked and said is here.
"""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_ANSWER_S = 5.0
_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to ask: whether it is ready, or only whether it lives; of the one at `url`, or on a state directory."""

    url: str | None = None
    state: Path | None = None
    live: bool = False


def wanted(arguments: Sequence[str]) -> Wanted | None:
    """The question in plain arguments of `regate health`; None where it takes more to read them, or to refuse them."""
    url, state, live = None, os.environ.get("REGATE_STATE") or None, False
    rest = list(arguments)
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        if option in ("--live", "--ready") and not equals:
            live = option == "--live"
        elif option in ("--url", "--state") and (value or (rest and not equals)):
            value = value or rest.pop(0)
            if option == "--url":
                url = value
            else:
                state = value
        else:
            return None
    if url is None and state is None:
        return None
    return Wanted(url, Path(state).expanduser() if state is not None else None, live)


def check(asked: Wanted) -> tuple[bool, str]:
    """Whether every gateway asked is well, and a line that says so. Raises: ValueError (no such URL)."""
    if asked.url is not None:
        return _one(asked.url, asked.live)
    from sidecar import statedir

    assert asked.state is not None
    gateways = statedir.running(asked.state)
    if not gateways:
        return False, f"no gateway runs on {asked.state}"
    found = [_one(gateway.url, asked.live) for gateway in gateways]
    return all(well for well, _ in found), "; ".join(line for _, line in found)


def _one(url: str, live: bool) -> tuple[bool, str]:
    try:
        status, body = _get(url, "/healthz" if live else "/readyz")
    except OSError as error:
        return False, f"{url} does not answer: {(error.strerror or str(error) or type(error).__name__).lower()}"
    if status == 200:
        return True, f"{url} {'lives' if live else 'is ready'}"
    return False, f"{url} is not {'alive' if live else 'ready'}: {_reasons(body) or f'status {status}'}"


def _get(url: str, path: str) -> tuple[int, bytes]:
    """Raises: OSError, ValueError (no such URL)."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// URL")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    with socket.create_connection((parts.hostname, port), _ANSWER_S) as plain:
        connection = _secured(plain) if parts.scheme == "https" else plain
        with connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
            answer = b""
            while len(answer) < _ANSWER_BYTES and (part := connection.recv(_ANSWER_BYTES)):
                answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    line = head.split(b" ", 2)
    if len(line) < 3 or not line[0].startswith(b"HTTP/1.") or not line[1].isdigit():
        raise OSError("its answer is not HTTP")
    return int(line[1]), body


def _secured(plain: socket.socket) -> socket.socket:
    """Over TLS, whatever certificate is shown: nothing secret is sent, and the name is not that of this address."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)


def _reasons(body: bytes) -> str:
    import json

    try:
        reasons = json.loads(body)["reasons"]
        return "; ".join(map(str, reasons))
    except (ValueError, KeyError, TypeError):
        return ""
