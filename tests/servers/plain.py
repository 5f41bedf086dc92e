"""A stateless MCP server over HTTP on the `mcp` SDK, quick enough for a thousand calls; logs what reaches it."""

import sys
from pathlib import Path

import uvicorn

from examples.stand_in import build, recorder


def main() -> None:
    port, log, catalogue = sys.argv[1:]
    server = build(Path(catalogue), recorder(Path(log)))
    app = server.streamable_http_app(stateless_http=True, json_response=True)
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", backlog=2048)


if __name__ == "__main__":
    main()
