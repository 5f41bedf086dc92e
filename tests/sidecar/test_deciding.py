"""Policies from each of their sources, in a real OPA, as the gateway asks it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from sidecar.core.query import Asker
from sidecar.deciding import Deciding
from sidecar.errors import DecisionError, PolicyStale, SettingsError
from sidecar.settings.file import build
from tests import bundles

CALL = Asker(policy="p", server="s", grant="g").call("add", b"{}")
LIST = Asker(policy="p", server="s", grant="g").visible(["add"])
GRANT = {"server": "s", "policy": "p", "token_sha256": "0" * 64}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "key.pem").write_bytes(bundles.public_pem(bundles.EC_KEY))
    return tmp_path


@pytest.fixture
def decide(folder: Path, opa_path: Path) -> Callable[..., Any]:
    """`async with decide(bundle={…})`: a decision point of these settings that runs."""

    @asynccontextmanager
    async def make(**given: Any) -> AsyncIterator[Deciding]:
        settings = build(
            {
                "servers": {"s": {"url": "http://127.0.0.1:1/mcp"}},
                "state": str(folder / "state"),
                "opa": {"binary": str(opa_path)},
                "grants": {"g": GRANT},
                **given,
            },
            environ={},
        )
        deciding = Deciding(settings)
        try:
            await deciding.load()
            await deciding.prepare()
            await deciding.start()
            running = asyncio.create_task(deciding.run())
            yield deciding
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        finally:
            await deciding.close()

    return make


def file_bundle(folder: Path, **more: Any) -> dict[str, Any]:
    key = {"file": str(folder / "key.pem"), "alg": "ES256"}
    return {"url": f"file://{folder}/b.tar.gz", "keys": [key], "poll_s": 0.1, **more}


def put(path: Path, data: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.replace(path)


async def changed(deciding: Deciding) -> None:
    """Returns once other policies are in force, or the same ones again after a fault."""
    seen = asyncio.Event()
    deciding.policies.watch(seen.set)
    await asyncio.wait_for(seen.wait(), 60)


async def outcome(deciding: Deciding) -> str:
    return (await deciding.decide(CALL)).outcome


async def test_bundle_that_is_replaced_decides_from_then_on(folder: Path, decide: Callable[..., Any]) -> None:
    put(folder / "b.tar.gz", bundles.bundle(serial=1))
    async with decide(bundle=file_bundle(folder)) as deciding:
        assert await outcome(deciding) == "allow"
        assert deciding.policies.explain("p", "add") == "as the bundle says"
        put(folder / "b.tar.gz", bundles.bundle({"p": bundles.DENIES}, serial=2))
        await changed(deciding)
        assert await outcome(deciding) == "deny"
        assert deciding.source().serial == 2
        assert await deciding.held() == {state.id: state.revision for state in deciding.policies.states()}
        assert deciding.in_force("p") is None


async def test_no_bundle_decides_nothing_until_there_is_one(folder: Path, decide: Callable[..., Any]) -> None:
    async with decide(bundle=file_bundle(folder)) as deciding:
        with pytest.raises(PolicyStale, match=r"No bundle of .*b\.tar\.gz is in force\. .*no such file"):
            await outcome(deciding)
        with pytest.raises(PolicyStale):
            await deciding.visible(LIST)
        assert deciding.generation == -1
        put(folder / "b.tar.gz", bundles.bundle())
        await changed(deciding)
        assert await outcome(deciding) == "allow"
        assert deciding.generation == 1


async def test_restart_without_the_source_decides_by_the_kept_bundle(folder: Path, decide: Callable[..., Any]) -> None:
    put(folder / "b.tar.gz", bundles.bundle(serial=1))
    async with decide(bundle=file_bundle(folder)):
        (folder / "b.tar.gz").unlink()
    async with decide(bundle=file_bundle(folder)) as deciding:
        assert await outcome(deciding) == "allow"
        assert "no such file" in deciding.source().problem


async def test_bundle_too_old_decides_nothing(folder: Path, decide: Callable[..., Any]) -> None:
    put(folder / "b.tar.gz", bundles.bundle(serial=1))
    async with decide(bundle=file_bundle(folder)):
        (folder / "b.tar.gz").unlink()
    async with decide(bundle=file_bundle(folder, max_policy_age_s=0.001)) as deciding:
        with pytest.raises(PolicyStale, match=r"max_policy_age_s is 0\.001"):
            await outcome(deciding)
        assert deciding.generation == -1
        assert deciding.source().stale


async def test_first_bundle_that_is_refused_leaves_nothing_and_that_is_told(
    folder: Path, decide: Callable[..., Any]
) -> None:
    with structlog.testing.capture_logs() as logged:
        async with decide(bundle=file_bundle(folder)) as deciding:
            assert deciding.policies.explain("p", "add") == "denied: there is no bundle yet"
    told = [line["event"] for line in logged if line["log_level"] == "error"]
    assert told == ["The policies as they are now are not in force; there are no others, and every call is denied."]


async def test_policy_missing_in_the_bundle_is_told(folder: Path, decide: Callable[..., Any]) -> None:
    put(folder / "b.tar.gz", bundles.bundle({"other": bundles.ALLOWS}))
    async with decide(bundle=file_bundle(folder)) as deciding:
        missing = [state for state in deciding.policies.states() if not state.revision]
        assert [(state.id, state.problem) for state in missing] == [("p", "the bundle does not have it")]
        assert (await deciding.decide(CALL)).rule == "(no policy)"
        assert deciding.policies.explain("p", "add") == "denied: the bundle has no policy p"
        assert deciding.policies.explain(None, "add") == "denied: the grant has no policy"


async def test_folder_of_policies_is_followed(folder: Path, decide: Callable[..., Any]) -> None:
    policies = folder / "policies"
    policies.mkdir()
    put(policies / "p.json", bundles.ALLOWS)
    async with decide(policy_dir={"path": str(policies)}) as deciding:
        assert await outcome(deciding) == "allow"
        put(policies / "q.json", bundles.DENIES)
        await changed(deciding)
        assert set(await deciding.held()) == {"p", "q"}
        (policies / "q.json").unlink()
        put(policies / "p.json", bundles.DENIES)
        await changed(deciding)
        assert await outcome(deciding) == "deny"
        assert set(await deciding.held()) == {"p"}
        (policies / "p.json").unlink()
        await changed(deciding)
        (state,) = deciding.policies.states()
        assert (state.id, state.revision, state.problem) == ("p", "", "there is no such file")
        assert deciding.policies.explain("p", "add") == "denied: there is no policy p"


async def test_opa_of_somebody_else_is_asked_and_not_started(
    folder: Path, decide: Callable[..., Any], opa_path: Path
) -> None:
    (folder / "p.json").write_bytes(bundles.ALLOWS)
    async with decide(policies={"p": {"file": str(folder / "p.json")}}) as own:
        address = f"unix://{own._there().client._http._origin.socket_path}"
        async with decide(opa={"url": address}, policies={"p": {"file": str(folder / "p.json")}}) as deciding:
            assert await outcome(deciding) == "allow"
            assert (deciding.opa_name, deciding.restarts) == (address, 0)
            put(folder / "p.json", bundles.DENIES)
        revision = own.policies.states()[0].revision
        async with decide(opa={"url": address, "revisions": {"p": revision}}) as pinned:
            await pinned.decide(CALL)
        async with decide(opa={"url": address, "revisions": {"p": "sha256:0"}}) as pinned:
            with pytest.raises(DecisionError, match="not by 'sha256:0'"):
                await pinned.decide(CALL)


async def test_nothing_is_decided_before_the_start(folder: Path) -> None:
    (folder / "p.json").write_bytes(bundles.ALLOWS)
    given = {"servers": {"s": {"url": "http://h/mcp"}}, "policies": {"p": {"file": str(folder / "p.json")}}}
    deciding = Deciding(build(given, environ={}))
    for ask in (lambda: deciding.decide(CALL), deciding.held):
        with pytest.raises(PolicyStale, match="OPA was not started"):
            await ask()
    await deciding.close()


async def test_opa_that_is_none_is_an_error(folder: Path, decide: Callable[..., Any]) -> None:
    (folder / "p.json").write_bytes(bundles.ALLOWS)
    policies = {"p": {"file": str(folder / "p.json")}}
    with pytest.raises(SettingsError, match=r"opa\.binary"):
        async with decide(opa={"binary": str(folder / "key.pem")}, policies=policies):
            pass


async def test_opa_of_somebody_else_that_does_not_answer_is_told_at_the_start(
    decide: Callable[..., Any], folder: Path
) -> None:
    with structlog.testing.capture_logs() as logged:
        async with decide(opa={"url": f"unix://{folder}/none.sock", "revisions": {"p": "sha256:0"}}) as deciding:
            with pytest.raises(DecisionError):
                await deciding.decide(CALL)
    assert ("warning", "OPA does not answer. Calls are denied until it does.") in {
        (line["log_level"], line["event"]) for line in logged
    }
