"""A sample MCP server for the compose file and for tests: a till. Over HTTP, or over stdio with `--stdio`.

`calls` counts what has reached it, and standard error names each call, so that a test can see what a gateway let through.
"""

import argparse
import asyncio
import os
import sys
from collections import Counter

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

server = MCPServer("till")
_seen: Counter[str] = Counter()


def _reached(tool: str, which: object = "") -> None:
    _seen[tool] += 1
    print("reached", tool, which, file=sys.stderr, flush=True)


@server.tool()
def balance() -> int:
    """What is in the till."""
    _reached("balance")
    return 1000


@server.tool()
def pay(to: str, amount: int) -> str:
    """Pays somebody."""
    _reached("pay", to)
    return f"paid {amount} to {to}"


@server.tool()
async def ship(parcel: int, seconds: float = 2) -> str:
    """Ships a parcel, which takes its time."""
    _reached("ship", parcel)
    await asyncio.sleep(seconds)
    return f"shipped {parcel}"


@server.tool()
def refund(to: str, amount: int) -> str:
    """Gives money back. No policy here permits it."""
    _reached("refund", to)
    return f"refunded {amount} to {to}"


@server.tool()
def empty_till() -> str:
    """Takes all of it. The policy hides it."""
    _reached("empty_till")
    return "gone"


@server.tool()
def calls() -> dict[str, int]:
    """How many calls of each tool came here."""
    return dict(_seen)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--stdio", action="store_true")
    if parser.parse_args().stdio:
        server.run("stdio")
        return
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000"))
    names = os.environ.get("ALLOWED_HOSTS", "127.0.0.1:8000,localhost:8000").split(",")
    app = server.streamable_http_app(
        stateless_http=True, transport_security=TransportSecuritySettings(allowed_hosts=names)
    )
    uvicorn.run(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=30)


if __name__ == "__main__":
    main()
