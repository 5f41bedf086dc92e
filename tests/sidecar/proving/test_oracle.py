"""A tool's own OPA: it holds the bundle it was started with, and leaves nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.core.query import Asker
from sidecar.errors import CannotDecide
from sidecar.opa import binary
from sidecar.proving.oracle import judging
from translator import Bundle, translate

DENIES = b'{"version": "1", "default": "deny"}'


@pytest.fixture
def bundle() -> Bundle:
    return translate({"p": DENIES})


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for what is temporary; its name is short, for the socket. pytest's own folder is made before."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def inside(folder: Path | str) -> list[str]:
    return [path.name for path in Path(folder).iterdir()]


def children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


async def test_block_asks_an_opa_that_holds_the_bundle(bundle: Bundle, opa_path: Path, temporary: Path) -> None:
    async with judging(bundle, opa_path) as opa:
        decision = await opa.decide(Asker(policy="p", server="s", grant="g").call("t", b"{}"))
    assert (decision.outcome, decision.rule) == ("deny", "(default deny)")
    assert decision.revision == bundle.policies["p"].revision


@pytest.mark.parametrize("raised", [ValueError("mine"), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
async def test_block_that_fails_leaves_no_process_and_no_folder(
    raised: BaseException, bundle: Bundle, opa_path: Path, temporary: Path
) -> None:
    before = children()

    async def block() -> None:
        async with judging(bundle, opa_path):
            assert children() - before
            assert inside(temporary)
            raise raised

    with pytest.raises(type(raised)):
        await block()
    assert children() == before
    assert inside(temporary) == []


async def test_block_that_opa_gives_no_decision_cannot_decide(bundle: Bundle, opa_path: Path) -> None:
    with pytest.raises(CannotDecide) as failed:
        async with judging(bundle, opa_path) as opa:
            await opa.ask("mcp/gate/decision", b"{")
    assert str(failed.value) == "OPA answered with status 400."


async def test_binary_that_is_none_cannot_decide_and_leaves_no_folder(
    bundle: Bundle, temporary: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CannotDecide) as failed:
        async with judging(bundle, tmp_path / "none"):
            raise AssertionError("the block runs without an OPA")
    assert "\n" not in str(failed.value)
    assert inside(temporary) == []
    assert capfd.readouterr() == ("", "")


async def test_bundle_that_opa_refuses_cannot_decide(bundle: Bundle, opa_path: Path, temporary: Path) -> None:
    with pytest.raises(CannotDecide) as failed:
        async with judging(Bundle(b"no archive", bundle.revision, bundle.policies), opa_path):
            raise AssertionError("the block runs without a bundle")
    assert "\n" not in str(failed.value)
    assert inside(temporary) == []


async def test_opa_that_is_nowhere_is_told_with_the_way_to_one(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.proving.oracle.find", lambda: None)
    with pytest.raises(CannotDecide) as failed:
        async with judging(bundle):
            raise AssertionError("the block runs without an OPA")
    assert failed.value.hint == "Run `regate opa` once to get it, or name one in REGATE_OPA."


async def test_opa_named_in_the_environment_is_the_one_asked(
    bundle: Bundle, opa_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(binary.VARIABLE, str(opa_path))
    async with judging(bundle) as opa:
        assert await opa.ask("mcp/gate/revisions", b"{}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_tool_that_is_ended_leaves_nothing_behind(number: signal.Signals, opa_path: Path) -> None:
    program = (
        "import asyncio, signal, sys\nfrom pathlib import Path\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from sidecar.proving.oracle import finished, judging\nfrom translator import translate\n"
        f"async def main():\n    async with judging(translate({{'p': {DENIES!r}}}), Path(sys.argv[1])):\n"
        "        print('ready', flush=True)\n        await asyncio.sleep(60)\n"
        "try:\n    finished(main())\nexcept KeyboardInterrupt:\n    print('ended')\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", program, opa_path],
            env={**os.environ, "TMPDIR": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.communicate(timeout=20) == ("ended\n", None)
        assert inside(folder) == []
