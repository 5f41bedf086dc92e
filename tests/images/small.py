"""Both ends of the short test, on Python's own library and httpx: `server` on stdio, or `agent URL TOKEN TOOL…`."""

import json
import sys
from pathlib import Path

REACHED = Path("/state/reached")


def server() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        method, result = message.get("method"), {}
        if method == "initialize":
            result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "s"}}
            result["serverInfo"]["version"] = "1"
        elif method == "tools/list":
            result = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in ("look", "wipe", "pay")]}
        elif method == "tools/call":
            with REACHED.open("a") as file:
                file.write(message["params"]["name"] + "\n")
            result = {"content": [{"type": "text", "text": "done"}]}
        if "id" in message and method:
            answer = {"jsonrpc": "2.0", "id": message["id"], "result": result}
            if method == "server/discover":
                answer = {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}}
            print(json.dumps(answer), flush=True)


def agent(url: str, token: str, *tools: str) -> None:
    import httpx

    def post(method: str, **params: object) -> httpx.Response:
        return client.post(url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params})

    def told(method: str, **params: object) -> str:
        lines = [line.removeprefix("data:").strip() for line in post(method, **params).text.splitlines()]
        return next(line for line in lines if line.startswith("{"))

    headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}
    with httpx.Client(headers=headers | {"authorization": f"Bearer {token}"}, timeout=60) as client:
        opened = post(
            "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={"name": "a", "version": ""}
        )
        client.headers["mcp-session-id"] = opened.headers["mcp-session-id"]
        client.post(url, json={"jsonrpc": "2.0", "method": "notifications/initialized"})
        print(told("tools/list"))
        for tool in tools:
            print(told("tools/call", name=tool, arguments={}))


if __name__ == "__main__":
    {"server": server, "agent": agent}[sys.argv[1]](*sys.argv[2:])
