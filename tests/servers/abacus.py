"""A well-behaved stdio MCP server of both eras, written on the `mcp` SDK."""

import os

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("abacus")


@server.tool()
def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


@server.tool()
def process_id() -> int:
    """The server's process id."""
    return os.getpid()


@server.tool()
async def count(to: int, context: Context) -> str:
    """Counts aloud, in progress notifications."""
    for number in range(to):
        await context.report_progress(number, to)
    return "counted"


if __name__ == "__main__":
    server.run()
