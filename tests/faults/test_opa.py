"""OPA dead, hung, slow: no call passes undecided, everybody is answered, and service comes back by itself."""

import asyncio
import contextlib
import os
import signal
import sqlite3
from collections import Counter
from typing import Any

import httpx

from tests.eras.schemas import check_error
from tests.faults.conftest import Scene, answer, call

CALLS = 1000


async def test_opa_killed_amid_a_thousand_calls_passes_nothing_undecided_and_answers_everyone(scene: Scene) -> None:
    works: list[tuple[str, dict[str, Any]]] = [
        ("fetch_ticker", {"symbol": "BTC"}),
        ("create_order", {"symbol": "BTC", "amount": 99}),
        ("fetch_trades", {"symbol": "BTC"}),
    ]
    answered = 0
    killed = asyncio.Event()

    async def one(client: httpx.AsyncClient, number: int) -> tuple[str, str]:
        nonlocal answered
        tool, arguments = works[number % 3]
        got = answer(await client.post(scene.running.url, json=call(number, tool, arguments)))
        answered += 1
        if answered == CALLS // 4:
            os.kill(scene.opa_pid(), signal.SIGKILL)
            killed.set()
        assert got["id"] == number
        result = got["result"]
        return tool, result["_meta"]["dev.regate/decision"]["rule"] if result.get("isError") else "allowed"

    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(headers=scene.headers, limits=limits, timeout=60) as client:
        outcomes = Counter(await asyncio.gather(*(one(client, number) for number in range(CALLS))))

    assert killed.is_set()
    assert sum(outcomes.values()) == CALLS
    reached = Counter(scene.reached())
    assert reached["create_order"] == 0
    assert reached["fetch_ticker"] == outcomes["fetch_ticker", "allowed"] > 0
    assert reached["fetch_trades"] == outcomes["fetch_trades", "allowed"] == counted(scene) <= 50
    assert outcomes["create_order", "/tools/create_order/deny_if/args.amount-gt"] > 0
    assert {rule for _, rule in outcomes} <= {
        "allowed",
        "(unavailable)",
        "/tools/create_order/deny_if/args.amount-gt",
        "/tools/fetch_trades/limits/trades",
    }
    scene.eventually("fetch_ticker", symbol="BTC")
    assert len(scene.causes()) >= CALLS


def counted(scene: Scene) -> int:
    with contextlib.closing(sqlite3.connect(scene.running.state / "state.sqlite")) as store:
        return int(store.execute("SELECT value FROM counters").fetchone()[0])


def test_opa_hung_denies_within_its_time_and_is_replaced(scene: Scene) -> None:
    os.kill(scene.opa_pid(), signal.SIGSTOP)
    rule, text = scene.denial("fetch_ticker", symbol="BTC")
    assert (rule, text) == ("(unavailable)", "[POLICY DENIED] Policy decision unavailable.")
    assert scene.reached() == []
    scene.eventually("fetch_ticker", symbol="BTC")
    assert any(cause.startswith("opa_unreachable: ") for cause in scene.causes())


def test_opa_gone_makes_a_list_an_error_and_not_ready_says_so(scene: Scene) -> None:
    os.kill(scene.opa_pid(), signal.SIGSTOP)
    ready = httpx.get(f"{scene.base}/readyz", timeout=20)
    assert (ready.status_code, ready.json()["reasons"]) == (503, ["OPA does not answer"])
    listing = {"jsonrpc": "2.0", "id": "l", "method": "tools/list"}
    got = answer(httpx.post(scene.running.url, headers=scene.headers, json=listing, timeout=20))
    assert got["error"]["code"] == 50301
    check_error(got, modern=False)
    assert "tools" not in str(got.get("result"))
