"""Two real gateways on one real Redis: each limit and each approval counts for both, whatever Redis does meanwhile."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.faults.conftest import CATALOGUE, HEADERS, answer, call
from tests.faults.served import eventually
from tests.redisserver import RedisServer

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-the-tests-own-making"
POLICY = {
    "version": "1",
    "default": "deny",
    "tools": {
        "fetch_ticker": {},
        "fetch_trades": {"limits": [{"counter": "trades", "window": "day", "max": 40}]},
        "fetch_ohlcv": {"limits": [{"counter": "candles", "window": "day", "max": 100000}]},
        "create_order": {"require_approval": [{"message": "A person must look."}]},
    },
}


@dataclass(frozen=True)
class One:
    """One of the gateways."""

    base: str
    folder: Path
    process: subprocess.Popen[bytes]

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        headers = {**HEADERS, "authorization": f"Bearer {TOKEN}"}
        response = httpx.post(f"{self.base}/mcp", headers=headers, json=call(1, tool, arguments), timeout=60)
        return answer(response)["result"]

    def rule(self, tool: str, **arguments: Any) -> str:
        """The rule of a denial; empty for a call that passed."""
        result = self.call(tool, **arguments)
        return result["_meta"]["dev.regate/decision"]["rule"] if result.get("isError") else ""

    def ready(self) -> tuple[int, str]:
        response = httpx.get(f"{self.base}/readyz", timeout=30)
        return response.status_code, response.text

    def eventually(self, tool: str) -> None:
        deadline = time.monotonic() + 30
        while self.rule(tool):
            assert time.monotonic() < deadline

    def regate(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "sidecar", *arguments, "--config", str(self.folder / "regate.yaml")]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout


@dataclass
class Pair:
    """Two gateways, their Redis and the calls that reached the server behind them."""

    redis: RedisServer
    gateways: Sequence[One]
    log: Path

    def reached(self, tool: str) -> int:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return sum(json.loads(line)["tool"] == tool for line in lines)

    def counted(self, counter: str) -> int:
        keys = [
            key for key in self.redis.say("KEYS", f"regate:counter:*{counter}*").split() if key.startswith("regate:")
        ]
        return sum(int(float(self.redis.say("GET", key).split("\r\n")[1])) for key in keys)


def settings(folder: Path, upstream: str, place: str, **changes: Any) -> Path:
    """A settings file of one of several gateways."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy.json").write_text(json.dumps(POLICY))
    made = {
        "listen_port": 0,
        "state": "state",
        "ready_file": "ready.json",
        "replicas": "several",
        "session_key": "0123456789abcdef0123456789abcdef",
        "redis": {"url": place, "timeout_s": 2},
        "servers": {"exchange": {"url": upstream, "transport": "http"}},
        "policies": {"p": {"file": "policy.json"}},
        "grants": {"bot": {"server": "exchange", "policy": "p", "token_env": "BOT_TOKEN"}},
        **changes,
    }
    path = folder / "regate.yaml"
    path.write_text(yaml.safe_dump({name: value for name, value in made.items() if value is not None}))
    return path


def started(config: Path) -> subprocess.Popen[bytes]:
    log = (config.parent / "gateway.log").open("wb")
    command = [sys.executable, "-m", "sidecar", "serve", "--config", str(config)]
    with log:
        return subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "BOT_TOKEN": TOKEN}
        )


@contextlib.contextmanager
def serving(config: Path) -> Iterator[One]:
    process, ready = started(config), config.parent / "ready.json"
    try:

        def is_ready() -> bool:
            assert process.poll() is None, (config.parent / "gateway.log").read_text()
            return ready.exists()

        eventually(is_ready)
        yield One(json.loads(ready.read_text())["url"].removesuffix("/mcp"), config.parent, process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    log = tmp_path_factory.mktemp("upstream") / "reached.jsonl"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.plain", str(port), str(log), str(CATALOGUE)], cwd=ROOT
    )
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        assert time.monotonic() < deadline
    yield f"http://127.0.0.1:{port}/mcp", log
    server.terminate()
    server.wait()


@pytest.fixture
def pair(tmp_path: Path, opa_path: Path, upstream: tuple[str, Path]) -> Iterator[Pair]:
    os.environ["REGATE_OPA"] = str(opa_path)
    url, log = upstream
    log.unlink(missing_ok=True)
    redis = RedisServer(tmp_path / "redis")
    try:
        configs = [settings(tmp_path / name, url, redis.url) for name in ("a", "b")]
        with serving(configs[0]) as one, serving(configs[1]) as other:
            yield Pair(redis, (one, other), log)
    finally:
        redis.kill()


def test_limit_and_approval_count_for_both_gateways(pair: Pair) -> None:
    with ThreadPoolExecutor(16) as pool:
        rules = list(pool.map(lambda n: pair.gateways[n % 2].rule("fetch_trades", symbol="BTC"), range(120)))
    assert rules.count("") == 40
    assert set(rules) == {"", "/tools/fetch_trades/limits/trades"}
    assert pair.reached("fetch_trades") == 40

    one, other = pair.gateways
    order = {"symbol": "BTC", "amount": 1}
    assert one.rule("create_order", **order) == other.rule("create_order", **order) != ""
    (waiting,) = json.loads(other.regate("approvals", "list", "--format", "json"))
    other.regate("approvals", "approve", waiting["id"])
    with ThreadPoolExecutor(8) as pool:
        rules = list(pool.map(lambda n: pair.gateways[n % 2].rule("create_order", **order), range(8)))
    assert rules.count("") == 1
    assert pair.reached("create_order") == 1


@pytest.mark.parametrize("fault", ["killed", "hung"])
def test_redis_lost_amid_calls_nothing_uncounted_reaches_the_server(fault: str, pair: Pair) -> None:
    ended = threading.Event()
    rules: list[str] = []

    def calls(gateway: One) -> None:
        while not ended.is_set():
            rules.append(gateway.rule("fetch_ohlcv", symbol="BTC"))

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(calls, pair.gateways[n % 2]) for n in range(4)]
        try:
            for _ in range(2):
                _more(rules, "", 20)
                pair.redis.kill() if fault == "killed" else pair.redis.hang()
                _more(rules, "(unavailable)", 4)
                assert not pair.gateways[0].rule("fetch_ticker", symbol="BTC")
                assert pair.gateways[0].ready()[0] == 503
                pair.redis.start() if fault == "killed" else pair.redis.go_on()
                for gateway in pair.gateways:
                    gateway.eventually("fetch_ohlcv")
        finally:
            ended.set()
            pair.redis.go_on()
    for one in working:
        one.result()
    assert set(rules) == {"", "(unavailable)"}
    reached = pair.reached("fetch_ohlcv")
    assert reached <= pair.counted("candles")
    if fault == "hung":
        _until(lambda: pair.counted("candles") == reached)


def test_redis_full_or_read_only_denies_and_serves_again(pair: Pair) -> None:
    one = pair.gateways[0]
    assert not one.rule("fetch_ohlcv", symbol="BTC")
    faults = [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    ]
    for broken, mended in faults:
        reached = pair.reached("fetch_ohlcv")
        pair.redis.say(*broken)
        assert one.rule("fetch_ohlcv", symbol="BTC") == "(unavailable)"
        assert pair.reached("fetch_ohlcv") == reached
        pair.redis.say(*mended)
        one.eventually("fetch_ohlcv")
    assert pair.reached("fetch_ohlcv") == pair.counted("candles")


def test_redis_not_there_at_the_start_is_not_ready_and_denies_until_it_is(
    tmp_path: Path, opa_path: Path, upstream: tuple[str, Path]
) -> None:
    os.environ["REGATE_OPA"] = str(opa_path)
    redis = RedisServer(tmp_path / "redis")
    redis.kill()
    try:
        with serving(settings(tmp_path / "a", upstream[0], redis.url)) as one:
            assert one.rule("fetch_ohlcv", symbol="BTC") == "(unavailable)"
            status, told = one.ready()
            assert (status, "Redis cannot be reached" in told) == (503, True)
            redis.start()
            one.eventually("fetch_ohlcv")
            assert one.ready()[0] == 200
    finally:
        redis.kill()


def _refused(config: Path) -> str:
    """What a gateway that does not start says."""
    process = started(config)
    assert process.wait(60) == 1
    return (config.parent / "gateway.log").read_text()


def test_redis_that_must_not_be_trusted_ends_the_start_in_a_line_without_secrets(
    tmp_path: Path, opa_path: Path
) -> None:
    os.environ["REGATE_OPA"] = str(opa_path)
    redis = RedisServer(tmp_path / "redis", "--maxmemory-policy", "allkeys-lru", "--requirepass", "the-right-password")
    try:
        for password, words in (
            ("the-wrong-password", "user name and password"),
            ("the-right-password", "allkeys-lru"),
        ):
            given = {"url": redis.url, "password": password}
            told = _refused(settings(tmp_path / password, "http://127.0.0.1:1/mcp", redis.url, redis=given))
            assert words in told
            assert "Traceback" not in told
            assert password not in told
    finally:
        redis.kill()


def test_what_several_gateways_cannot_share_ends_the_start_each_with_a_line(tmp_path: Path) -> None:
    servers = {"own": {"command": ["cat"]}, "web": {"url": "http://127.0.0.1:1/mcp"}}
    config = settings(tmp_path / "a", "", "", redis=None, session_key=None, servers=servers, grants=None)
    told = _refused(config)
    for words in ("needs redis", "needs session_key", "servers.own", "servers.web"):
        assert sum(words in line for line in told.splitlines()) == 1, told


def test_grant_that_only_this_gateway_knows_ends_the_start(tmp_path: Path) -> None:
    config = settings(tmp_path / "a", "http://127.0.0.1:1/mcp", f"unix://{tmp_path}/none.sock")
    command = [sys.executable, "-m", "sidecar", "grants", "create", "--config", str(config)]
    subprocess.run([*command, "--server", "exchange", "--policy", "p"], check=True, cwd=ROOT, capture_output=True)
    assert "regate grants create" in _refused(config)


def _more(rules: Sequence[str], rule: str, count: int) -> None:
    """Returns once so many further calls were answered by this rule."""
    enough = rules.count(rule) + count
    _until(lambda: rules.count(rule) > enough)


def _until(holds: Any) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
