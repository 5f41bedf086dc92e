import asyncio
import fcntl
import json
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvloop

from sidecar.errors import DecisionError, DecisionOffShape, DecisionUndefined, OpaUnreachable, SettingsError
from sidecar.http1 import Origin
from sidecar.opa.client import OpaClient
from sidecar.opa.process import BUNDLE, OpaProcess, Pace, revisions, runtime_directory

Make = Callable[..., Any]

QUICK = Pace(first_delay_s=0.02, last_delay_s=0.1, health_every_s=0.03, health_wait_s=0.3, misses=2, stop_s=0.5)

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's process interfaces")


@pytest.fixture
def placed(directory: Path, bundle_of: Make) -> Path:
    """A runtime directory that holds a bundle with p at r1."""
    (directory / BUNDLE).write_bytes(bundle_of(p="r1").data)
    return directory


@pytest.fixture
def log() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture
async def make_opa(opa_path: Path) -> AsyncIterator[Callable[..., OpaProcess]]:
    """Makes OPAs that are stopped afterwards."""
    made: list[OpaProcess] = []

    def make(directory: Path, binary: Path = opa_path, pace: Pace = QUICK) -> OpaProcess:
        made.append(OpaProcess(binary, directory, pace=pace))
        return made[-1]

    yield make
    for opa in made:
        await opa.stop()


async def holds(opa: OpaProcess) -> dict[str, str]:
    """What this OPA holds, once it answers."""
    client = OpaClient(Origin(socket_path=str(opa.socket_path)), timeout_s=0.5)
    async with asyncio.timeout(10):
        while True:
            try:
                return await revisions(client.ask)
            except DecisionError:
                await asyncio.sleep(0.01)
            finally:
                await client.close()
                client = OpaClient(Origin(socket_path=str(opa.socket_path)), timeout_s=0.5)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 (what a process does sets no event here)
            await asyncio.sleep(0.01)


def has_ended(pid: int) -> bool:
    """True once no such process runs, after a bounded wait."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], 10)[0])
    finally:
        os.close(watched)


def read(path: str | Path) -> str:
    return Path(path).read_text()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def is_gone(path: Path) -> bool:
    return not path.exists()


def program(path: Path, text: str) -> Path:
    """An executable shell script, replaced in one step."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(f"#!/bin/sh\n{text}\n")
    fresh.chmod(0o755)
    fresh.replace(path)
    return path


async def test_start_returns_when_opa_answers(make_opa: Make, placed: Path) -> None:
    opa = make_opa(placed)
    assert (opa.alive, opa.pid) == (False, None)
    await opa.start()
    assert await holds(opa) == {"p": "r1"}
    assert (opa.alive, opa.restarts) == (True, 0)
    assert opa.socket_path == placed / "opa.sock"


async def test_start_makes_everything_private(make_opa: Make, placed: Path) -> None:
    opa = make_opa(placed)
    await opa.start()
    assert mode(placed) == 0o700
    assert mode(opa.socket_path) == 0o600


@linux_only
async def test_start_gives_opa_nothing_of_our_environment(
    make_opa: Make, placed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTREAM_TOKEN", "s3cret")
    monkeypatch.setenv("OPA_RUN_LOG_LEVEL", "debug")
    opa = make_opa(placed)
    await opa.start()
    environment = read(f"/proc/{opa.pid}/environ").rstrip("\0").split("\0")
    assert {entry.partition("=")[0] for entry in environment} <= {
        "PATH",
        "LD_LIBRARY_PATH",
        "HOME",
        "TMPDIR",
        "GOGC",
        "LC_CTYPE",
    }
    assert "GOGC=400" in environment


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"result":[]}', b'{"result":{"p":1}}', b'{"result":"\xff"}', b"{"])
async def test_revisions_off_shape_is_an_error(answer: bytes) -> None:
    async def ask(path: str, query: bytes) -> bytes:
        return answer

    with pytest.raises(DecisionOffShape):
        await revisions(ask)


async def test_revisions_undefined_is_an_error_and_none_is_empty() -> None:
    answers = [b"{}", b'{"result":{}}']

    async def ask(path: str, query: bytes) -> bytes:
        assert (path, query) == ("mcp/gate/revisions", b"{}")
        return answers.pop(0)

    with pytest.raises(DecisionUndefined):
        await revisions(ask)
    assert await revisions(ask) == {}


async def test_start_policy_cannot_see_our_environment(
    make_opa: Make, directory: Path, bundle_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTREAM_TOKEN", "s3cret")
    spy = bundle_of(rego="package mcp.gate\n\nrevisions := opa.runtime().env\n")
    (directory / BUNDLE).write_bytes(spy.data)
    opa = make_opa(directory)
    await opa.start()
    assert "s3cret" not in str(await holds(opa))


@linux_only
async def test_start_leaves_terminal_signals_to_us(make_opa: Make, placed: Path) -> None:
    opa = make_opa(placed)
    await opa.start()
    assert os.getsid(opa.pid) == opa.pid != os.getsid(0)


async def test_start_holds_a_lock_that_keeps_tidying_away(make_opa: Make, placed: Path) -> None:
    opa = make_opa(placed)
    await opa.start()
    tidying = os.open(placed, os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(tidying, fcntl.LOCK_EX | fcntl.LOCK_NB)
        await opa.stop()
        fcntl.flock(tidying, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(tidying)


async def test_start_elsewhere_than_on_linux_needs_no_wrapper(
    make_opa: Make, placed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.opa.process.sys.platform", "darwin")
    opa = make_opa(placed)
    await opa.start()
    assert await holds(opa) == {"p": "r1"}
    monkeypatch.undo()


async def test_start_large_question_is_refused_by_opa(make_opa: Make, placed: Path) -> None:
    opa = make_opa(placed)
    await opa.start()
    client = OpaClient(Origin(socket_path=str(opa.socket_path)), timeout_s=10)
    try:
        with pytest.raises(DecisionError):
            await client.ask("mcp/gate/revisions", b'"%b"' % (b"x" * (16 * 1024 * 1024)))
        assert json.loads(await client.ask("mcp/gate/revisions", b'"%b"' % (b"x" * (1024 * 1024))))["result"] == {
            "p": "r1"
        }
    finally:
        await client.close()


@pytest.mark.parametrize("name", ["x" * 90 + "/" + "y" * 90, "a b,c%zz#?é"])
async def test_start_works_whatever_the_temporary_folder_is_called(
    make_opa: Make, bundle_of: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / name if len(name) > 100 else Path(tempfile.mkdtemp(suffix=name))
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    directory = runtime_directory()
    assert len(os.fsencode(directory / "opa.sock")) <= 107
    (directory / BUNDLE).write_bytes(bundle_of(p="r1").data)
    opa = make_opa(directory)
    await opa.start()
    assert await holds(opa) == {"p": "r1"}
    await opa.stop()
    folder.rmdir()


def test_runtime_directory_without_a_temporary_folder_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(SettingsError, match="No such file or directory") as caught:
        runtime_directory()
    assert "TMPDIR" in caught.value.hint


async def test_start_relative_binary_is_found(
    make_opa: Make, placed: Path, opa_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "opa").symlink_to(opa_path)
    monkeypatch.chdir(tmp_path)
    opa = make_opa(placed, Path("opa"))
    await opa.start()
    assert await holds(opa) == {"p": "r1"}


async def test_start_bad_bundle_is_one_clear_line_and_nothing_stays(make_opa: Make, placed: Path) -> None:
    (placed / BUNDLE).write_bytes(b"junk")
    opa = make_opa(placed)
    with pytest.raises(
        OpaUnreachable, match=r"^OPA ended at its start \(exit code 1\): .*bundle read failed"
    ) as caught:
        await opa.start()
    assert "\n" not in str(caught.value)
    assert not opa.alive
    assert is_gone(placed)


async def test_start_bad_rego_tells_where(make_opa: Make, placed: Path, bundle_of: Make) -> None:
    (placed / BUNDLE).write_bytes(bundle_of(rego="package mcp.gate\n\nrevisions := nothing(\n").data)
    with pytest.raises(OpaUnreachable, match=r"gate\.rego:4: rego_parse_error"):
        await make_opa(placed).start()


async def test_start_missing_binary_is_one_clear_line(make_opa: Make, placed: Path) -> None:
    with pytest.raises(OpaUnreachable, match=r"/gone/opa: No such file or directory$"):
        await make_opa(placed, Path("/gone/opa")).start()
    assert is_gone(placed)


async def test_start_bundle_without_revisions_is_not_ready(make_opa: Make, placed: Path, bundle_of: Make) -> None:
    (placed / BUNDLE).write_bytes(bundle_of(rego="package mcp.gate\n\nx := 1\n").data)
    with pytest.raises(OpaUnreachable, match=r"not ready within 0\.5 s\. OPA holds no bundle of ours"):
        await make_opa(placed, pace=Pace(start_s=0.5)).start()


async def test_start_silent_program_is_ended(make_opa: Make, placed: Path, tmp_path: Path) -> None:
    silent = program(tmp_path / "opa", f"echo $$ > {tmp_path}/pid; exec sleep 60")
    with pytest.raises(OpaUnreachable, match=r"not ready within 0\.5 s\. OPA cannot be reached"):
        await make_opa(placed, silent, Pace(start_s=0.5)).start()
    assert has_ended(int(read(tmp_path / "pid")))
    assert is_gone(placed)


async def test_start_program_without_words_says_so(make_opa: Make, placed: Path, tmp_path: Path) -> None:
    with pytest.raises(OpaUnreachable, match=r"exit code 3\): OPA said nothing\.$"):
        await make_opa(placed, program(tmp_path / "opa", "exit 3")).start()


async def test_start_endless_words_are_bounded(make_opa: Make, placed: Path, tmp_path: Path) -> None:
    chatty = program(tmp_path / "opa", "head -c 3000000 /dev/zero | tr '\\0' x; echo; printf 'the end'; exit 3")
    with pytest.raises(OpaUnreachable) as caught:
        await make_opa(placed, chatty).start()
    assert len(str(caught.value)) < 700


async def test_start_cancelled_leaves_nothing(make_opa: Make, placed: Path, tmp_path: Path) -> None:
    silent = program(tmp_path / "opa", f"echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; sleep 60")
    task = asyncio.create_task(make_opa(placed, silent).start())
    await until((tmp_path / "pid").exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert has_ended(int(read(tmp_path / "pid")))
    assert is_gone(placed)


async def test_killed_opa_comes_back_with_the_newest_bundle(
    make_opa: Make, placed: Path, bundle_of: Make, log: list[Any]
) -> None:
    opa = make_opa(placed)
    await opa.start()
    first = opa.pid
    (placed / BUNDLE).write_bytes(bundle_of(p="r2").data)
    os.kill(first, signal.SIGKILL)
    await until(lambda: opa.restarts == 1)
    assert await holds(opa) == {"p": "r2"}
    assert opa.pid != first
    (ended,) = [entry for entry in log if entry["event"] == "opa_ended"]
    assert (ended["exit_code"], ended["restart_in_s"], ended["said"]) == (-9, 0.02, "OPA said nothing.")


async def test_hung_opa_is_killed_and_comes_back(make_opa: Make, placed: Path, log: list[Any]) -> None:
    opa = make_opa(placed, pace=Pace(start_s=0.5, health_every_s=0.03, health_wait_s=0.1, misses=3))
    await opa.start()
    first = opa.pid
    os.kill(first, signal.SIGSTOP)
    await until(lambda: opa.restarts == 1)
    assert await holds(opa) == {"p": "r1"}
    assert opa.pid != first
    assert [entry["unanswered"] for entry in log if entry["event"] == "opa_hangs"] == [3]


async def test_restart_waits_longer_each_time_until_it_works(
    make_opa: Make, placed: Path, opa_path: Path, tmp_path: Path, log: list[Any]
) -> None:
    binary = program(tmp_path / "opa", f'exec {opa_path} "$@"')
    opa = make_opa(placed, binary)
    await opa.start()
    program(binary, "echo out of luck; exit 3")
    os.kill(opa.pid, signal.SIGKILL)
    await until(lambda: opa.restarts >= 5)
    program(binary, f'exec {opa_path} "$@"')
    assert await holds(opa) == {"p": "r1"}
    ended = [entry for entry in log if entry["event"] == "opa_ended"]
    assert [entry["restart_in_s"] for entry in ended][:5] == [0.02, 0.04, 0.08, 0.1, 0.1]
    assert (ended[1]["exit_code"], ended[1]["said"]) == (3, "out of luck")


async def test_restart_after_good_service_is_quick_again(
    make_opa: Make, placed: Path, tmp_path: Path, opa_path: Path, log: list[Any]
) -> None:
    opa = make_opa(placed, pace=Pace(first_delay_s=0.01, last_delay_s=5, good_service_s=0))
    await opa.start()
    for restarts in range(1, 4):
        os.kill(opa.pid, signal.SIGKILL)
        await until(lambda wanted=restarts: opa.restarts == wanted)
    assert [entry["restart_in_s"] for entry in log if entry["event"] == "opa_ended"] == [0.01] * 3


async def test_restart_that_loads_slowly_is_given_its_time(
    make_opa: Make, placed: Path, opa_path: Path, tmp_path: Path
) -> None:
    binary = program(tmp_path / "opa", f'exec {opa_path} "$@"')
    opa = make_opa(placed, binary)
    await opa.start()
    program(binary, f'sleep 0.5; exec {opa_path} "$@"')
    os.kill(opa.pid, signal.SIGKILL)
    await until(lambda: opa.restarts == 1)
    assert await holds(opa) == {"p": "r1"}
    assert opa.restarts == 1


async def test_restart_that_never_answers_is_tried_again(
    make_opa: Make, placed: Path, opa_path: Path, tmp_path: Path
) -> None:
    binary = program(tmp_path / "opa", f'exec {opa_path} "$@"')
    opa = make_opa(placed, binary, Pace(start_s=0.5, first_delay_s=0.01, health_every_s=0.03, health_wait_s=0.1))
    await opa.start()
    program(binary, f"echo > {tmp_path}/mute; exec sleep 60")
    os.kill(opa.pid, signal.SIGKILL)
    await until((tmp_path / "mute").exists)
    program(binary, f'exec {opa_path} "$@"')
    await until(lambda: opa.restarts == 2)
    assert await holds(opa) == {"p": "r1"}


async def test_restart_without_its_folder_is_told_and_stop_still_works(
    make_opa: Make, placed: Path, log: list[Any]
) -> None:
    opa = make_opa(placed)
    await opa.start()
    shutil.rmtree(placed)
    os.kill(opa.pid, signal.SIGKILL)
    await until(lambda: sum(entry["event"] == "opa_not_started" for entry in log) == 2)
    assert (opa.alive, opa.restarts) == (False, 0)
    await opa.stop()


async def test_watchdog_any_answer_is_a_sign_of_life(
    make_opa: Make, placed: Path, bundle_of: Make, log: list[Any]
) -> None:
    opa = make_opa(placed)
    await opa.start()
    clash = "package mcp.gate\n\nrevisions := {} if 1 == 1\n\nrevisions := {1} if 1 == 1\n"
    fresh = placed / "fresh"
    fresh.write_bytes(bundle_of(rego=clash).data)
    fresh.replace(placed / BUNDLE)
    client = OpaClient(Origin(socket_path=str(opa.socket_path)))
    answers: list[str] = []
    async with asyncio.timeout(10):
        while answers.count("OPA answered with status 500.") < 20:
            try:
                answers.append((await client.ask("mcp/gate/revisions", b"{}")).decode())
            except DecisionError as error:
                answers.append(str(error))
            await asyncio.sleep(0.01)
    await client.close()
    assert opa.restarts == 0
    assert [entry for entry in log if entry["event"] == "opa_hangs"] == []


async def test_stop_leaves_no_process_and_no_folder(make_opa: Make, placed: Path) -> None:
    opa = make_opa(placed)
    await opa.start()
    pid = opa.pid
    await opa.stop()
    assert has_ended(pid)
    assert (opa.alive, opa.pid, opa.restarts) == (False, None, 0)
    assert is_gone(placed)
    await opa.stop()


async def test_stop_hung_opa_is_killed(make_opa: Make, placed: Path) -> None:
    opa = make_opa(placed, pace=Pace(stop_s=0.2))
    await opa.start()
    pid = opa.pid
    os.kill(pid, signal.SIGSTOP)
    await opa.stop()
    assert has_ended(pid)
    assert is_gone(placed)


async def test_stop_ends_what_a_script_around_opa_started(
    make_opa: Make, placed: Path, opa_path: Path, tmp_path: Path
) -> None:
    around = program(tmp_path / "opa", f'{opa_path} "$@" & echo $! > {tmp_path}/pid; wait')
    opa = make_opa(placed, around)
    await opa.start()
    await opa.stop()
    assert has_ended(int(read(tmp_path / "pid")))


async def test_stop_while_it_waits_to_restart_starts_no_more(make_opa: Make, placed: Path, log: list[Any]) -> None:
    opa = make_opa(placed, pace=Pace(first_delay_s=60))
    await opa.start()
    os.kill(opa.pid, signal.SIGKILL)
    await until(lambda: any(entry["event"] == "opa_ended" for entry in log))
    await opa.stop()
    assert (opa.alive, opa.restarts) == (False, 0)


async def test_stop_before_start_removes_the_folder(make_opa: Make, placed: Path) -> None:
    await make_opa(placed).stop()
    assert is_gone(placed)


async def test_words_of_opa_reach_the_log_at_their_level(
    make_opa: Make, placed: Path, tmp_path: Path, log: list[Any]
) -> None:
    lines = [
        '{"level":"warning","msg":"OPA running with uid or gid 0. Running OPA with root privileges is …"}',
        '{"level":"warning","msg":"as root"}',
        '{"level":"error","msg":"bad","err":"worse"}',
        "[" * 5000,
        "[1]",
        "",
    ]
    (tmp_path / "lines").write_text("\n".join(lines))
    speaks = program(tmp_path / "opa", f"cat {tmp_path}/lines; exit 1")
    with pytest.raises(OpaUnreachable, match=r"bad worse \[\[\["):
        await make_opa(placed, speaks).start()
    said = [(entry["log_level"], entry["said"]) for entry in log if entry["event"] == "opa"]
    assert said == [("warning", "as root"), ("error", "bad worse"), ("error", "[" * 5000), ("error", "[1]")]


@linux_only
def test_killed_gateway_takes_its_opa_along(opa_path: Path, bundle_of: Make) -> None:
    directory = runtime_directory()
    (directory / BUNDLE).write_bytes(bundle_of(p="r1").data)
    gateway = (
        "import asyncio, pathlib, sys\n"
        "from sidecar.opa.process import OpaProcess\n"
        "async def main():\n"
        "    opa = OpaProcess(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))\n"
        "    await opa.start()\n"
        "    print(opa.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", gateway, opa_path, directory],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as parent:
        assert parent.stdout is not None
        pid = next(int(line) for line in parent.stdout if line.strip().isdigit())
        parent.kill()
        parent.wait(10)
        assert has_ended(pid)
    shutil.rmtree(directory)


def test_whole_life_under_uvloop(opa_path: Path, bundle_of: Make) -> None:
    async def live() -> None:
        directory = runtime_directory()
        (directory / BUNDLE).write_bytes(bundle_of(p="r1").data)
        opa = OpaProcess(opa_path, directory, pace=QUICK)
        await opa.start()
        os.kill(opa.pid or 0, signal.SIGKILL)
        await until(lambda: opa.restarts == 1)
        assert await holds(opa) == {"p": "r1"}
        pid = opa.pid
        await opa.stop()
        assert has_ended(pid or 0)
        assert not directory.exists()

    uvloop.run(live())
