"""The store locked, full or gone: the call does not pass, and the audit says which."""

import contextlib
import os
import sqlite3
import time

import httpx

from tests.faults.conftest import Scene


def test_store_locked_denies_limited_calls_and_serves_again_when_released(scene: Scene) -> None:
    with contextlib.closing(sqlite3.connect(scene.running.state / "state.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert scene.denial("fetch_trades", symbol="BTC")[0] == "(unavailable)"
        assert scene.reached() == []
        assert "result" in scene.call("fetch_ticker", symbol="BTC")
        assert any("locked" in cause for cause in scene.causes())
        other.execute("ROLLBACK")
    scene.eventually("fetch_trades", symbol="BTC")


def test_store_gone_denies_limited_calls_and_is_not_made_anew(scene: Scene) -> None:
    state = scene.running.state / "state.sqlite"
    state.rename(state.with_suffix(".away"))
    assert scene.denial("fetch_trades", symbol="BTC")[0] == "(unavailable)"
    assert scene.reached() == []
    assert not state.exists()
    assert httpx.get(f"{scene.base}/readyz").status_code == 503
    assert any(cause.startswith("store: ") for cause in scene.causes())
    state.with_suffix(".away").rename(state)
    scene.eventually("fetch_trades", symbol="BTC")


def test_audit_log_that_cannot_be_written_stops_every_call(scene: Scene) -> None:
    audit = scene.running.state / "audit.sqlite"
    assert "result" in scene.call("fetch_ticker", symbol="BTC")
    _settled(scene)
    audit.rename(audit.with_suffix(".away"))
    scene.call("fetch_ticker", symbol="BTC")
    deadline = time.monotonic() + 20
    while scene.call("fetch_ticker", symbol="BTC")["result"].get("isError") is not True:
        assert time.monotonic() < deadline
    before = len(scene.reached())
    assert scene.denial("fetch_ticker", symbol="BTC")[0] == "(unavailable)"
    assert len(scene.reached()) == before
    audit.with_suffix(".away").rename(audit)
    scene.eventually("fetch_ticker", symbol="BTC")


def _settled(scene: Scene) -> None:
    deadline = time.monotonic() + 20
    while not scene.causes():
        assert time.monotonic() < deadline


def test_gateway_killed_keeps_what_it_reserved(scene: Scene) -> None:
    for _ in range(3):
        assert "result" in scene.call("fetch_trades", symbol="BTC")
    os.kill(scene.running.pid, 9)
    with contextlib.closing(sqlite3.connect(scene.running.state / "state.sqlite")) as store:
        assert store.execute("SELECT value FROM counters").fetchall() == [("3",)]
