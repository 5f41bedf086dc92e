"""The load: `python -m bench.load` keeps N calls in flight for a while and prints what came back, as JSON.

A process of its own, with sockets and protocols only, so that it takes little from what it measures.
"""

import argparse
import asyncio
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httptools
import uvloop

_FIRST_ID = 1_000_000_000
_PATIENCE_S = 30


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one stretch of load saw. `wrong` counts answers other than the one wanted; `sample` is one of them.

    Units: latencies in microseconds.
    """

    calls: int
    wrong: int
    seconds: float
    p50_us: float
    p99_us: float
    sample: str = ""


class _Caller(asyncio.Protocol):
    """One connection with one call in flight, again and again until the end."""

    def __init__(self, load: "_Load") -> None:
        self._load = load
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._call()

    def _call(self) -> None:
        self._transport.write(self._load.next_request())
        self._sent_ns = time.perf_counter_ns()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._load.answered(time.perf_counter_ns() - self._sent_ns, self._parser.get_status_code(), self._body)
        self._body.clear()
        if self._load.over():
            self._finish()
        else:
            self._call()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._finish()

    def _finish(self) -> None:
        self._transport.close()
        if not self.done.done():
            self.done.set_result(None)


class _Load:
    def __init__(self, before_id: bytes, after_id: bytes, wanted: bytes, seconds: float) -> None:
        self._before, self._after, self._wanted = before_id, after_id, wanted
        self._id = _FIRST_ID
        self._ends = time.perf_counter() + seconds
        self.latencies_ns: list[int] = []
        self.wrong = 0
        self.sample = ""

    def next_request(self) -> bytes:
        self._id += 1
        return b"%b%d%b" % (self._before, self._id, self._after)

    def answered(self, took_ns: int, status: int, body: list[bytes]) -> None:
        self.latencies_ns.append(took_ns)
        if status != 200 or self._wanted not in b"".join(body):
            self.wrong += 1
            self.sample = f"{status} {b''.join(body)[:300]!r}"

    def over(self) -> bool:
        return time.perf_counter() >= self._ends


async def run(url: str, headers: str, body: str, wanted: str, in_flight: int, seconds: float) -> Loaded:
    """Sends `body` (with `%ID%` for the message id) over `in_flight` connections for so many seconds."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    content = body.replace("%ID%", str(_FIRST_ID))
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
        f"accept: application/json, text/event-stream\r\ncontent-length: {len(content)}\r\n{headers}\r\n"
    )
    before, _, after = body.partition("%ID%")
    load = _Load((head + before).encode(), after.encode(), wanted.encode(), seconds)
    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    opened = [loop.create_connection(lambda: _Caller(load), host, port) for _ in range(in_flight)]
    callers = [caller for _, caller in await asyncio.gather(*opened)]
    async with asyncio.timeout(seconds + _PATIENCE_S):
        await asyncio.gather(*(caller.done for caller in callers))
    took_s = time.perf_counter() - began
    ordered = sorted(load.latencies_ns) or [0]
    return Loaded(
        calls=len(load.latencies_ns),
        wrong=load.wrong,
        seconds=took_s,
        p50_us=ordered[len(ordered) // 2] / 1000,
        p99_us=ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] / 1000,
        sample=load.sample,
    )


def main() -> None:
    """Reads the plan (a JSON file of `run`'s arguments) and prints a `Loaded`."""
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("plan", type=Path)
    plan = json.loads(parser.parse_args().plan.read_text(encoding="utf-8"))
    print(json.dumps(asdict(uvloop.run(run(**plan)))))


if __name__ == "__main__":
    main()
