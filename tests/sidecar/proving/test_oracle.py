"""A tool's own OPA: it holds the bundle it was started with, and leaves nothing behind."""

import asyncio
import os
import signal
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
    return os.listdir(folder)


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


async def test_ctrl_c_leaves_nothing_behind(opa_path: Path, tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from sidecar.proving.oracle import judging\nfrom translator import translate\n"
        f"async def main():\n    async with judging(translate({{'p': {DENIES!r}}}), Path(sys.argv[1])):\n"
        "        print('ready', flush=True)\n        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, str(opa_path)),
            env={**os.environ, "TMPDIR": folder},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 20)
        assert inside(folder) == []
