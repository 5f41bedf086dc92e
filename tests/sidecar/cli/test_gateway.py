import asyncio
import errno
import json
import os
import signal
import stat
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import structlog

from sidecar import statedir
from sidecar.cli import gateway
from sidecar.downstream.leaving import Leaving
from sidecar.errors import SettingsError, StoreError
from sidecar.settings.model import Policy, Server, Settings
from translator.errors import PolicyRejected, Problem


@dataclass(frozen=True)
class Served:
    """What wiring says once calls can be served."""

    url: str = "http://127.0.0.1:9/mcp"
    base: str = "http://127.0.0.1:9"
    operator_url: str = "http://127.0.0.1:9"
    pid: int = field(default_factory=os.getpid)
    tools: dict[str, Any] = field(default_factory=dict)


@dataclass
class Wiring:
    """Stands in for `sidecar.wiring`: `body` is what it does while it serves."""

    body: Callable[[], Awaitable[None]]
    stopped: bool = False
    leaves: asyncio.Event | None = None

    async def run_http(self, settings: Settings, *, ready: Callable[[Served], None], leaving: Leaving) -> None:
        if self.leaves is not None:
            leaving.serving(self.leaves.set)
        ready(Served())
        await self.run_stdio(settings)

    async def run_stdio(self, settings: Settings) -> None:
        try:
            await self.body()
        finally:
            self.stopped = True


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(servers={"a": Server(url="http://h")}, state=tmp_path / "state", ready_file=tmp_path / "ready.json")


@pytest.fixture
def wired(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], Awaitable[None]]], Wiring]]:
    def put(body: Callable[[], Awaitable[None]]) -> Wiring:
        wiring = Wiring(body)
        module = ModuleType("sidecar.wiring")
        module.__dict__.update(run_http=wiring.run_http, run_stdio=wiring.run_stdio)
        monkeypatch.setitem(sys.modules, "sidecar.wiring", module)
        return wiring

    yield put
    structlog.reset_defaults()


async def _forever() -> None:
    await asyncio.Event().wait()


def _signalled(number: signal.Signals) -> Callable[[], Awaitable[None]]:
    async def body() -> None:
        os.kill(os.getpid(), number)
        await _forever()

    return body


def _raising(error: Exception) -> Callable[[], Awaitable[None]]:
    async def body() -> None:
        raise error

    return body


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_stops_in_order_and_leaves_no_file(number: signal.Signals, settings: Settings, wired: Any) -> None:
    wiring = wired(_signalled(number))
    before = signal.signal(number, signal.SIG_DFL)
    try:
        gateway.serve_http(settings, "tok", lambda served: None)
    finally:
        signal.signal(number, before)
    assert wiring.stopped
    assert settings.ready_file is not None
    assert not settings.ready_file.exists()
    assert statedir.running(settings.state) == []


def test_hangup_under_nohup_stops_nothing(settings: Settings, wired: Any) -> None:
    async def body() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
        survived.append(True)

    survived: list[bool] = []
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        wired(body)
        gateway.serve_http(settings, None, lambda served: None)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert survived == [True]


def test_second_signal_does_not_break_the_ending(settings: Settings, wired: Any) -> None:
    ended = []

    async def body() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await _forever()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.01)
            ended.append(True)

    wired(body)
    gateway.serve_http(settings, None, lambda served: None)
    assert ended == [True]


def test_sigterm_lets_what_is_served_leave_in_order(settings: Settings, wired: Any) -> None:
    left: list[bool] = []

    async def body() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert wiring.leaves is not None
        await wiring.leaves.wait()
        left.append(True)

    wiring = wired(body)
    wiring.leaves = asyncio.Event()
    gateway.serve_http(settings, None, lambda served: None)
    assert left == [True]


def test_ready_file_and_note_are_there_while_it_serves(settings: Settings, wired: Any) -> None:
    seen: dict[str, Any] = {}

    async def body() -> None:
        assert settings.ready_file is not None
        seen["ready"] = json.loads(settings.ready_file.read_bytes())
        seen["mode"] = stat.S_IMODE(settings.ready_file.stat().st_mode)
        seen["running"] = statedir.running(settings.state)

    wired(body)
    greeted: list[Any] = []
    gateway.serve_http(settings, "tok", greeted.append)
    assert seen["ready"] == {"url": "http://127.0.0.1:9/mcp", "token": "tok", "pid": os.getpid()}
    assert seen["mode"] == 0o600
    assert seen["running"] == [statedir.Gateway("http://127.0.0.1:9", os.getpid())]
    assert greeted == [Served()]
    assert len(statedir.operator_token(settings.state)) >= 32


def test_greeting_that_nobody_reads_ends_nothing(settings: Settings, wired: Any) -> None:
    def greet(served: object) -> None:
        raise BrokenPipeError

    wiring = wired(_signalled(signal.SIGTERM))
    gateway.serve_http(settings, None, greet)
    assert wiring.stopped


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EADDRINUSE, "cannot listen on 127.0.0.1:8700: the port is in use"),
        (errno.EACCES, "cannot listen on 127.0.0.1:8700: this port needs more rights"),
        (errno.EADDRNOTAVAIL, "cannot listen on 127.0.0.1:8700: this machine has no such address"),
    ],
)
def test_address_that_cannot_be_had_is_told(number: int, message: str, settings: Settings, wired: Any) -> None:
    wired(_raising(OSError(number, "x")))
    with pytest.raises(SettingsError, match=message):
        gateway.serve_http(settings, None, lambda served: None)


def test_error_in_a_group_of_one_is_the_error(settings: Settings, wired: Any) -> None:
    wired(_raising(ExceptionGroup("tasks", [ExceptionGroup("tasks", [StoreError("full")])])))
    with pytest.raises(StoreError, match="full"):
        gateway.serve_http(settings, None, lambda served: None)


def test_error_that_nobody_expected_goes_on(settings: Settings, wired: Any) -> None:
    wired(_raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        gateway.serve_http(settings, None, lambda served: None)


def test_policy_rejected_tells_every_problem(
    settings: Settings, wired: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = (Problem("p", "/tools", 1, 2, "bad", "do this"), Problem("q", "/hide", 3, 4, "worse"))
    wired(_raising(PolicyRejected(problems)))
    settings = settings.model_copy(update={"policies": {"p": Policy(file=Path("/policies/p.json"))}})
    with pytest.raises(SettingsError, match="the policy was rejected"):
        gateway.serve_http(settings, None, lambda served: None)
    assert capsys.readouterr().err.splitlines() == [
        "/policies/p.json:1:2: /tools: bad",
        "  hint: do this",
        "q: /hide: worse",
    ]


def test_stdio_ends_with_its_input_and_prints_nothing(
    settings: Settings, wired: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async def body() -> None:
        structlog.get_logger().warning("to stderr")

    wiring = wired(body)
    gateway.serve_stdio(settings)
    assert wiring.stopped
    assert capsys.readouterr().out == ""


def test_stdio_stops_on_a_signal(settings: Settings, wired: Any) -> None:
    wiring = wired(_signalled(signal.SIGTERM))
    gateway.serve_stdio(settings)
    assert wiring.stopped


def test_cancellation_that_nobody_asked_for_is_no_traceback(settings: Settings, wired: Any) -> None:
    async def body() -> None:
        raise asyncio.CancelledError

    wiring = wired(body)
    gateway.serve_stdio(settings)
    assert wiring.stopped


def test_json_log_has_a_line_in_place_of_the_greeting(
    settings: Settings, wired: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    wired(_signalled(signal.SIGTERM))
    open_to_all = settings.model_copy(update={"log_format": "json", "listen_host": "0.0.0.0"})
    gateway.serve_http(open_to_all, "tok", lambda served: pytest.fail("it greets"))
    told = capsys.readouterr()
    first, second = [json.loads(line) for line in told.err.splitlines()][:2]
    assert first["event"] == "Calls are served."
    assert (first["url"], first["servers"]) == ("http://127.0.0.1:9/mcp", ["a"])
    assert second["event"].startswith("Other machines can connect")
    assert told.out == ""
    assert "tok" not in told.err.replace("tokens", "")
