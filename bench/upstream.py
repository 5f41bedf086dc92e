"""A fast MCP server for the bench: `python -m bench.upstream CATALOGUE READY_FILE`.

It answers `tools/list` with the catalogue and any call with one line. It checks nothing, so that as little as
possible of what is measured is its own.
"""

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import cast

import httptools
import msgspec
import uvloop


class _Request(msgspec.Struct):
    method: str
    id: msgspec.Raw = msgspec.Raw(b"null")


_decode = msgspec.json.Decoder(_Request).decode
_CALLED = b'{"resultType":"complete","content":[{"type":"text","text":"done"}]}'
_INITIALIZED = (
    b'{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}'
)


class _Connection(asyncio.Protocol):
    def __init__(self, listed: bytes) -> None:
        self._results = {"tools/call": _CALLED, "tools/list": listed, "initialize": _INITIALIZED}
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        self._transport.write(self._answer(body) if body else _head(405, 0))

    def _answer(self, body: bytes) -> bytes:
        request = _decode(body)
        result = self._results.get(request.method)
        if result is None:
            return _head(202, 0)
        answer = b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (bytes(request.id), result)
        return _head(200, len(answer)) + answer


def _head(status: int, length_bytes: int) -> bytes:
    return b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, length_bytes)


async def _serve(listed: bytes, listener: socket.socket) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(listed), sock=listener)
    await server.serve_forever()


def main() -> None:
    """Serves on a free port of the loopback address and writes it to the ready file."""
    tools = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["tools"]
    listed = json.dumps({"resultType": "complete", "tools": tools}, separators=(",", ":")).encode()
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    Path(sys.argv[2]).write_text(str(listener.getsockname()[1]), encoding="utf-8")
    uvloop.run(_serve(listed, listener))


if __name__ == "__main__":
    main()
