"""SIGTERM with calls in flight: every one is answered and recorded, and nothing of the gateway is left."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.served import HEADERS, Served, call, eventually, in_session, listens, serving

CALLS = 20


def _answer(response: httpx.Response) -> dict[str, Any]:
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return json.loads(lines[-1] if lines else response.text)


async def _reach(gateway: Served, count: int) -> None:
    def reached() -> bool:
        return sum(line.startswith("tools/call") for line in gateway.reached()) == count

    await asyncio.to_thread(eventually, reached)


async def _refused(port: int) -> None:
    await asyncio.to_thread(eventually, lambda: not listens(port))


def test_sigterm_answers_every_call_in_flight_and_leaves_nothing(tmp_path: Path, opa_path: Path) -> None:
    async def scene(gateway: Served) -> None:
        async with asyncio.timeout(90), httpx.AsyncClient(headers=HEADERS, timeout=60) as client:
            listening = asyncio.create_task(client.get(gateway.url))
            calls = [
                asyncio.create_task(client.post(gateway.url, json=call(("whole", "stream")[n % 2], n)))
                for n in range(CALLS)
            ]
            await _reach(gateway, CALLS)
            gateway.process.send_signal(signal.SIGTERM)
            while (ready := await client.get(f"{gateway.base}/readyz")).status_code == 200:
                pass
            assert "the gateway is stopping" in ready.json()["reasons"]
            late = await client.post(gateway.url, json=call("quick", CALLS))
            assert "result" in late.json()
            assert late.headers["connection"] == "close"
            await _refused(httpx.URL(gateway.url).port or 0)
            assert not any(task.done() for task in calls)
            await asyncio.to_thread(gateway.release)
            answers = [_answer(response) for response in await asyncio.gather(*calls)]
            assert [answer["id"] for answer in answers] == list(range(CALLS))
            assert all(answer["result"]["content"][0]["text"] == "done" for answer in answers)
            assert (await listening).text == ": listening\n\n"  # its end is told: a stream cut off would be an error

    with serving(tmp_path, opa_path, drain={"announce_s": 6, "finish_s": 60}) as gateway:
        asyncio.run(scene(gateway))
        assert gateway.process.wait(60) == 0
        assert in_session(gateway.process.pid) == []
        rows = [row for row in gateway.rows() if row["method"] == "tools/call"]
        assert [row["result"] for row in rows] == ["result"] * (CALLS + 1)
        assert not (tmp_path / "ready.json").exists()


def test_sigterm_gives_up_calls_that_outlast_the_time_and_says_so(tmp_path: Path, opa_path: Path) -> None:
    with serving(tmp_path, opa_path, drain={"finish_s": 0.5}) as gateway:
        asyncio.run(_cut_off(gateway, [signal.SIGTERM]))
        assert gateway.process.wait(60) == 0
        assert [row["result"] for row in gateway.rows() if row["method"] == "tools/call"] == ["unknown"]
        assert in_session(gateway.process.pid) == []


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_at_once(second: signal.Signals, tmp_path: Path, opa_path: Path) -> None:
    with serving(tmp_path, opa_path, drain={"announce_s": 600, "finish_s": 600}) as gateway:
        asyncio.run(_cut_off(gateway, [signal.SIGTERM, second]))
        assert gateway.process.wait(60) == 0
        assert [row["result"] for row in gateway.rows() if row["method"] == "tools/call"] == ["unknown"]
        assert in_session(gateway.process.pid) == []


def test_interrupt_does_not_wait_as_long_as_sigterm_would(tmp_path: Path, opa_path: Path) -> None:
    with serving(tmp_path, opa_path, drain={"announce_s": 600, "finish_s": 600}) as gateway:
        gateway.process.send_signal(signal.SIGINT)
        assert gateway.process.wait(60) == 0
        assert in_session(gateway.process.pid) == []


async def _cut_off(gateway: Served, signals: list[signal.Signals]) -> None:
    """Returns once a call that waits at the server is cut off after these signals."""
    async with asyncio.timeout(90), httpx.AsyncClient(headers=HEADERS, timeout=60) as client:
        calling = asyncio.create_task(client.post(gateway.url, json=call("whole")))
        await _reach(gateway, 1)
        for at, number in enumerate(signals):
            gateway.process.send_signal(number)
            while at + 1 < len(signals) and (await client.get(f"{gateway.base}/readyz")).status_code == 200:
                pass
        with pytest.raises(httpx.RemoteProtocolError):
            await calling
