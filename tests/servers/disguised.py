"""A stdio MCP server of both eras that logs every line it gets and lists its tools in whatever disguise is asked for.

The cursor of a tools/list is the answer itself, in base64. It knows nothing of policy.
"""

import base64
import json
import sys
from pathlib import Path

LOG = Path(sys.argv[1])
NAMES = ("read", "pay", "limited", "risky", "delete_repo")


def usual(request: dict) -> bytes:
    tools = [{"name": name, "inputSchema": {"type": "object", "properties": {"amount": {}}}} for name in NAMES]
    results = {
        "initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "d"}},
        "tools/list": {"tools": tools},
        "tools/call": {"content": [{"type": "text", "text": "done"}]},
    }
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": results.get(request["method"], {})}).encode()


def main() -> None:
    with LOG.open("ab", buffering=0) as log:
        for line in sys.stdin.buffer:
            log.write(line)
            request = json.loads(line)
            if "id" not in request:
                continue
            cursor = request.get("params", {}).get("cursor")
            sys.stdout.buffer.write((base64.b64decode(cursor) if cursor else usual(request)) + b"\n")
            sys.stdout.buffer.flush()


main()
