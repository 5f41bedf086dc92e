"""The gateway's two stdio adapters back to back, without any policy: `passage.py COMMAND…`."""

import asyncio
import sys

import msgspec

from sidecar.downstream.standard import claim
from sidecar.downstream.stdio import serve
from sidecar.downstream.turns import InTurn
from sidecar.ports import Outgoing, Reply
from sidecar.upstream.stdio import StdioUpstream


class Passage:
    """Passes every line on."""

    def __init__(self, command: list[str]) -> None:
        self.upstream = InTurn(StdioUpstream(command, sole_client=True))

    async def handle(self, line: bytes, session: str | None) -> Reply:
        message = msgspec.json.decode(line)
        modern = "io.modelcontextprotocol/protocolVersion" in message.get("params", {}).get("_meta", {})
        method, request_id = message.get("method"), message.get("id")
        return await self.upstream.send(Outgoing(line, method, request_id, session=session, modern=modern))

    async def listen(self, session: str | None) -> Reply:
        return await self.upstream.listen((), session)


async def main() -> None:
    read_fd, write_fd = claim()
    print("a stray print must not reach the client")  # noqa: T201
    passage = Passage(sys.argv[1:])
    try:
        await serve(passage, read_fd, write_fd)
    finally:
        await passage.upstream.close()


if __name__ == "__main__":
    asyncio.run(main())
