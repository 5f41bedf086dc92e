import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import docker
import pytest
import uvloop
from structlog.testing import capture_logs

from sidecar.core.lines import Overlong
from sidecar.errors import Unreachable
from sidecar.upstream.container import Container, Image
from sidecar.upstream.dockerd import LABEL, Mount, Running, Spec
from sidecar.upstream.leases import known
from sidecar.upstream.stdio import LineUpstream
from tests.sidecar.upstream.conftest import Client, Ears

SERVERS = Path(__file__).parents[2] / "servers"
ECHO = "import sys\nfor line in sys.stdin: print(line.strip().upper(), flush=True)"
DEAF = "import signal, sys, time\nsignal.signal(15, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)"


def running(image: Image) -> list[str]:
    """The ids of this gateway's containers, of whatever status."""
    assert image._lease is not None
    return labelled(image._lease.name)


def labelled(lease: str) -> list[str]:
    client = docker.from_env()
    try:
        found = client.containers.list(all=True, filters={"label": f"{LABEL}={lease}"}, ignore_removed=True)
        return [container.id for container in found]
    finally:
        client.close()


async def until(holds: Callable[[], bool]) -> None:
    """Waits until another process has done its part."""
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 (another process tells nobody)
            await asyncio.sleep(0.02)


@pytest.fixture
async def started(python_image: str, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Starts a container that runs a Python script."""
    containers: list[Container] = []
    images: list[Image] = []

    async def start(script: str, grace_s: float = 20.0, max_line_bytes: int = 1 << 20, **spec: Any) -> Any:
        ears = Ears()
        spec["arguments"] = ("python3", "-S", "-c", script)
        images.append(Image(Spec(python_image, **spec), tmp_path, "box", max_line_bytes, grace_s))
        containers.append(await images[-1].open(ears))
        return containers[-1], ears, images[-1]

    yield start
    for container in containers:
        await container.close()
    for image in images:
        assert not running(image)
        if image._daemon is not None:
            image._daemon._client.close()


async def test_container_answers_line_for_line_in_order_and_is_removed_at_the_end(started: Callable[..., Any]) -> None:
    container, ears, image = await started(ECHO)
    await asyncio.gather(*(container.write(b"a%d" % n) for n in range(50)))
    container.write_soon(b"last")
    assert [await ears.line() for _ in range(51)] == [*(b"A%d" % n for n in range(50)), b"LAST"]
    assert container.is_alive
    assert running(image) == [container.id]
    await asyncio.gather(container.close(), container.close())
    assert "has been ended" in (await ears.end()).message
    assert running(image) == []
    container.write_soon(b"nobody hears this")
    with pytest.raises(Unreachable, match="ended"):
        await container.write(b"x")


async def test_container_that_does_not_read_holds_writers_back_in_order(started: Callable[..., Any]) -> None:
    hold = "import sys\nprint('up', flush=True)\nfor line in sys.stdin: print(line[0], len(line), flush=True)"
    container, ears, _ = await started(hold)
    assert await ears.line() == b"up"
    big = [bytes([65 + n]) * 700_000 for n in range(6)]
    await asyncio.gather(*(container.write(text) for text in big))
    assert [await ears.line() for _ in big] == [b"%c 700001" % (65 + n) for n in range(6)]


async def test_container_sees_a_read_only_root_its_own_tmp_no_network_and_nobody_else(
    started: Callable[..., Any],
) -> None:
    look = """
import os, socket
def fails(what, *given):
    try:
        what(*given)
    except OSError as error:
        return error.strerror
print(fails(open, '/etc/x', 'w'), fails(open, '/tmp/' + 'x', 'w'), os.getuid(), end=' ')
print(sorted(name for _, name in socket.if_nameindex()))
print([line.split()[1] for line in open('/proc/self/status') if line.startswith(('CapEff', 'CapBnd', 'NoNewPrivs'))])
print(sorted(set(os.environ) - {'PATH', 'LANG', 'HOSTNAME', 'HOME'}), os.environ['GIVEN'], flush=True)
input()
"""
    _, ears, _ = await started(look, env={"GIVEN": "a = b"})
    first = await ears.line()
    assert isinstance(first, bytes)
    assert first.startswith(b"Read-only file system None 65532 ['lo'")
    assert await ears.line() == b"['0000000000000000', '0000000000000000', '1']"
    assert await ears.line() == b"['GIVEN'] a = b"


async def test_container_that_exits_is_told_with_its_code_and_its_last_words(started: Callable[..., Any]) -> None:
    with capture_logs() as logs:
        _, ears, image = await started("import sys; print('half', end=''); sys.exit('no key\\x1b given')")
        death = await ears.end()
    assert death.message == f"The MCP server (image {image.spec.image}) exited with code 1."
    assert death.hint == "It last wrote on stderr: no key  given"
    assert await ears.line() == b"half"
    assert [entry["line"] for entry in logs if entry["event"] == "server_stderr"] == ["no key\x1b given"]
    await until(lambda: not running(image))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_container_whose_end_is_not_known_yet_is_unreachable_and_removed_without_a_word(
    run: Callable[..., None], python_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway's own event loop refuses whatever a closed connection is asked."""
    image = Image(Spec(python_image, ("python3", "-S", "-c", "input(); raise SystemExit(3)")), tmp_path)
    known, wait = threading.Event(), Running.wait
    monkeypatch.setattr(Running, "wait", lambda running: known.wait(60) and wait(running))

    async def live() -> None:
        container = await image.open(Ears())
        await container.write(b"x")
        await until(lambda: not container._is_open)
        container.write_soon(b"y")
        with pytest.raises(Unreachable, match="closed its output"):
            await container.write(b"z")
        known.set()
        await container.close()
        assert running(image) == []

    with capture_logs() as logs:
        run(live())
    assert logs == []
    assert image._daemon is not None
    image._daemon._client.close()


async def test_container_past_its_memory_limit_is_killed_and_told_so(started: Callable[..., Any]) -> None:
    _, ears, _ = await started("held = bytearray(200 << 20)", memory_mb=32)
    assert (await ears.end()).message.endswith("was killed; its memory limit is 32 MB.")


async def test_container_past_its_process_limit_gets_no_more(started: Callable[..., Any]) -> None:
    fork = """
import os, signal
try:
    for _ in range(30): os.fork() or signal.pause()
except OSError as error:
    print(error.strerror, flush=True)
    signal.pause()
"""
    _, ears, _ = await started(fork, pids=10, grace_s=0.1)
    assert await ears.line() == b"Resource temporarily unavailable"


async def test_container_that_ignores_everything_is_removed_by_force(started: Callable[..., Any]) -> None:
    container, ears, image = await started(DEAF, grace_s=0.2)
    assert await ears.line() == b"up"
    await container.close()
    assert running(image) == []


async def test_container_closed_while_it_starts_is_removed(python_image: str, tmp_path: Path) -> None:
    image = Image(Spec(python_image, ("python3", "-c", DEAF)), tmp_path, grace_s=0.1)
    daemon = image._daemon = await asyncio.to_thread(image._begin)
    start, reached, go_on = daemon.start, threading.Event(), threading.Event()

    def held(container: Any, spec: Spec) -> Any:
        reached.set()
        assert go_on.wait(60)
        return start(container, spec)

    daemon.start = held  # type: ignore[method-assign]
    opening = asyncio.ensure_future(image.open(Ears()))
    await asyncio.to_thread(reached.wait, 60)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert len(running(image)) == 1
    go_on.set()
    await until(lambda: not running(image))
    daemon._client.close()


async def test_container_ended_from_outside_is_told(started: Callable[..., Any]) -> None:
    container, ears, _ = await started(DEAF)
    await ears.line()
    await asyncio.to_thread(container._container.remove, force=True)
    assert "was killed" in (await ears.end()).message


async def test_line_past_the_limit_is_dropped_and_the_next_is_whole(started: Callable[..., Any]) -> None:
    _, ears, _ = await started("print('x' * 5000)\nprint('y', flush=True)\ninput()", max_line_bytes=1000)
    assert isinstance(await ears.line(), Overlong)
    assert await ears.line() == b"y"


async def test_server_in_a_container_serves_both_eras(python_image: str, tmp_path: Path) -> None:
    spec = Spec(python_image, ("python3", "-S", "/servers/rogue.py"), mounts=[Mount(str(SERVERS), "/servers")])
    image = Image(spec, tmp_path, grace_s=20.0)
    upstream = LineUpstream(image, answer_timeout_s=60.0)
    client = Client(upstream)
    session = await client.open()
    for request_id, at in (("one", session), ("two", None)):
        reply = await client.call("echo", request_id, session=at, text="hello")
        assert reply.body is not None
        assert b"hello" in reply.body
    assert len(running(image)) == 2
    await upstream.close()
    assert running(image) == []
    assert image._daemon is not None
    image._daemon._client.close()


HOLDER = """
import asyncio, sys
from pathlib import Path
from sidecar.upstream.container import Image
from sidecar.upstream.dockerd import Spec

class Ears:
    def received(self, line): print(image._lease.name, flush=True)
    def overlong(self, line): pass
    def died(self, death): pass

async def main():
    global image
    image = Image(Spec(sys.argv[1], ("python3", "-c", sys.argv[2])), Path(sys.argv[3]))
    await image.open(Ears())
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("script", "goes_by_itself"),
    [("print('up', flush=True)\nimport sys; sys.stdin.read()", True), (DEAF, False)],
    ids=["heeds its input", "deaf"],
)
async def test_container_of_a_killed_gateway_goes_by_itself_or_is_reaped_at_the_next_start(
    script: str, goes_by_itself: bool, python_image: str, tmp_path: Path, started: Callable[..., Any]
) -> None:
    holder = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", HOLDER, python_image, script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        lease = await asyncio.to_thread(holder.stdout.readline)
        assert len(labelled(lease.strip())) == 1
        holder.send_signal(signal.SIGKILL)
    with capture_logs() as logs:
        if goes_by_itself:
            await until(lambda: not labelled(lease.strip()))
        else:
            assert len(labelled(lease.strip())) == 1
        _, _, image = await started(ECHO)
    assert labelled(lease.strip()) == []
    assert [entry["server"] for entry in logs if entry["event"] == "container_reaped"] == [
        "container" for _ in range(not goes_by_itself)
    ]
    assert [path.stem for path in known(tmp_path)] == [image._lease.name]
