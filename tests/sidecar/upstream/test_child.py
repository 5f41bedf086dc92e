import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from sidecar.core.lines import Overlong
from sidecar.errors import Unreachable
from sidecar.upstream.child import Child, Command
from tests.sidecar.upstream.conftest import Ears

ECHO = "import sys\nfor line in sys.stdin: print(line.strip().upper(), flush=True)"


@pytest.fixture
async def started() -> AsyncIterator[Callable[..., Any]]:
    """Starts a child that runs a Python script."""
    children: list[Child] = []

    async def start(script: str, **options: Any) -> tuple[Child, Ears]:
        ears = Ears()
        command = Command((sys.executable, "-S", "-c", script), **{"grace_s": 5.0, **options})
        children.append(await Child.start(command, ears))
        return children[-1], ears

    yield start
    for child in children:
        await child.close()


async def test_child_answers_line_for_line_in_order(started: Callable[..., Any]) -> None:
    child, ears = await started(ECHO)
    await asyncio.gather(*(child.write(b"a%d" % n) for n in range(50)))
    child.write_soon(b"last")
    assert [await ears.line() for _ in range(51)] == [*(b"A%d" % n for n in range(50)), b"LAST"]
    assert child.is_alive


async def test_child_that_does_not_read_holds_writers_back_in_order(started: Callable[..., Any]) -> None:
    child, ears = await started("import sys, time; time.sleep(0.3)\nfor line in sys.stdin: print(line[0], flush=True)")
    big = [bytes([65 + n]) * 400_000 for n in range(8)]
    writing = [asyncio.create_task(child.write(text)) for text in big]
    await asyncio.sleep(0)
    assert not all(task.done() for task in writing)
    assert [await ears.line() for _ in big] == [b"A", b"B", b"C", b"D", b"E", b"F", b"G", b"H"]
    await asyncio.gather(*writing)


async def test_child_closed_reports_its_end_once_and_takes_no_more(started: Callable[..., Any]) -> None:
    child, ears = await started(ECHO)
    await asyncio.gather(child.close(), child.close())
    assert "has been ended" in (await ears.death).message
    assert not child.is_alive
    child.write_soon(b"nobody hears this")
    with pytest.raises(Unreachable, match="ended"):
        await child.write(b"x")


async def test_child_that_dies_says_how_and_its_last_words(started: Callable[..., Any]) -> None:
    script = "import os, sys; os.write(2, b'first\\n\\x1b[31mlast\\xff'); os.write(1, b'unfinished'); os._exit(7)"
    with capture_logs() as entries:
        _, ears = await started(script, name="bad")
        death = await asyncio.wait_for(ears.death, 20)
    assert "exited with code 7" in death.message
    assert "last" in death.hint
    assert "\x1b" not in death.hint
    assert [entry["line"] for entry in entries] == ["first", "\x1b[31mlast\ufffd"]
    assert {entry["server"] for entry in entries} == {"bad"}
    assert await ears.line() == b"unfinished"


async def test_child_that_says_nothing_has_a_hint_all_the_same(started: Callable[..., Any]) -> None:
    _, ears = await started("import os; os._exit(0)")
    assert "by hand" in (await asyncio.wait_for(ears.death, 20)).hint


async def test_child_whose_output_a_grandchild_keeps_open_is_reported_dead(
    started: Callable[..., Any], is_running: Callable[[int], bool]
) -> None:
    child, ears = await started(
        "import subprocess, os; print(subprocess.Popen(['sleep', '1000']).pid, flush=True); os._exit(0)"
    )
    grandchild = int(await ears.line())
    assert "exited with code 0" in (await asyncio.wait_for(ears.death, 20)).message
    await child.close()
    assert not is_running(grandchild)


async def test_child_line_past_the_limit_is_told_and_the_next_one_comes(started: Callable[..., Any]) -> None:
    _, ears = await started("print('x' * 1000); print('short', flush=True); input()", max_line_bytes=100)
    assert isinstance(await ears.line(), Overlong)
    assert await ears.line() == b"short"


async def test_child_gets_no_settings_of_ours(started: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("REGATE_TOKEN", "t"), ("REGATE_CHILD_outer", "1"), ("KEY", "k"), ("PLAIN", "p")):
        monkeypatch.setenv(name, value)
    script = "import os; print(sorted(os.environ), flush=True); print(os.environ['GIVEN'], flush=True); input()"
    _, ears = await started(script, env={"GIVEN": "g"}, withhold=("KEY",))
    names = str(await ears.line())
    assert "REGATE_TOKEN" not in names
    assert "'KEY'" not in names
    assert "'PLAIN'" in names
    assert "REGATE_CHILD_outer" in names
    assert await ears.line() == b"g"


def test_command_shows_no_environment_values() -> None:
    assert "secret" not in repr(Command(("x",), {"TOKEN": "secret"}))


async def test_child_leads_its_own_session_so_an_interrupt_misses_it(started: Callable[..., Any]) -> None:
    child, _ = await started(ECHO)
    assert os.getsid(child.pid) == child.pid
    assert os.getsid(child.pid) != os.getsid(0)


async def test_child_starts_in_its_folder(started: Callable[..., Any], tmp_path: Path) -> None:
    _, ears = await started("import os; print(os.getcwd(), flush=True); input()", cwd=str(tmp_path))
    assert await ears.line() == str(tmp_path).encode()


async def test_command_that_cannot_be_run_is_unreachable_and_says_why(tmp_path: Path) -> None:
    folder = str(tmp_path / "none")
    cases = [
        (Command(("/no/such",)), "was not found"),
        (Command(("no-such-command-here",)), "was not found"),
        (Command((sys.executable,), cwd=folder), "folder .* does not exist"),
        (Command((str(tmp_path),)), "cannot be run"),
        (Command(("a\0b",)), "cannot be run"),
    ]
    for command, told in cases:
        with pytest.raises(Unreachable, match=told) as caught:
            await Child.start(command, Ears())
        assert caught.value.surely_not_run
        assert "\n" not in str(caught.value)


async def test_child_that_ignores_sigterm_is_killed(
    started: Callable[..., Any], is_running: Callable[[int], bool]
) -> None:
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(1000)"
    child, ears = await started(script, grace_s=0.1)
    await ears.line()
    await child.close()
    assert not is_running(child.pid)


@pytest.mark.parametrize("steps", [1, 3])
async def test_child_is_killed_when_its_ending_is_cut_short(
    started: Callable[..., Any], is_running: Callable[[int], bool], until: Any, steps: int
) -> None:
    child, ears = await started("import time; print('up', flush=True); time.sleep(1000)", grace_s=60.0)
    await ears.line()
    before = asyncio.all_tasks()
    closing = asyncio.create_task(child.close())
    for _ in range(steps):
        await asyncio.sleep(0)
    for task in asyncio.all_tasks() - before:
        task.cancel()
    await asyncio.wait([closing])
    await until(lambda: not is_running(child.pid))
    transport = child._transport
    await until(lambda: transport is None or transport.get_returncode() is not None)


async def test_child_started_for_nobody_is_ended(until: Any, tmp_path: Path) -> None:
    ears = Ears()
    starting = asyncio.create_task(Child.start(Command((sys.executable, "-S", "-c", ECHO)), ears))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert "ended" in (await asyncio.wait_for(ears.death, 20)).message


async def test_child_signalled_from_outside_names_the_signal(started: Callable[..., Any]) -> None:
    child, ears = await started(ECHO)
    os.kill(child.pid, signal.SIGKILL)
    assert "killed by signal 9" in (await asyncio.wait_for(ears.death, 20)).message
