"""Do servers on the loopback of this machine listen? No kubelet can ask them. No MCP: a connection, closed again."""

import asyncio
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

_CONNECT_S = 2.0
_PORTS = {"http": 80, "https": 443}


def loopback(urls: Mapping[str, str]) -> dict[str, tuple[str, int]]:
    """The servers that only this machine, or this pod, can reach: name → host and port."""
    return {name: place for name, url in urls.items() if (place := _place(url)) is not None}


async def silent(servers: Mapping[str, tuple[str, int]]) -> tuple[str, ...]:
    """Why calls to some of them would fail: one line for each that takes no connection."""
    found: Iterable[str] = await asyncio.gather(*(_asked(name, *place) for name, place in servers.items()))
    return tuple(line for line in found if line)


def _place(url: str) -> tuple[str, int] | None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host != "localhost":
        try:
            if not ip_address(host).is_loopback:
                return None
        except ValueError:
            return None
    return host, parts.port or _PORTS[parts.scheme]


async def _asked(name: str, host: str, port: int) -> str:
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return f"server {name} does not listen at {host}:{port}"
    writer.close()
    return ""
