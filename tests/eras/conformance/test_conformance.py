"""The conformance suite against a server directly and through the gateway: whatever passed directly passes through it.

The server is tests/servers/everything, over HTTP and stdio; the policy allows everything.
Source: mcp-gateway.md G17, G40.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from examples import gateway
from tests import npm
from tests.eras.conformance.suite import Check, Suite, faults, installed, lost

ROOT = Path(__file__).parents[3]
SERVER = [sys.executable, str(ROOT / "tests" / "servers" / "everything")]
REVISIONS = ("2025-11-25", "2026-07-28")
OF_NO_REVISION = {"sep-2640-skills-directory", "sep-2640-skills-enumeration", "sep-2640-skills-manifest"}
"""Scenarios of an extension that no revision's requirements name; they run on the newest."""

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(600)]


@pytest.fixture(scope="session")
def suite() -> Suite:
    try:
        return installed()
    except npm.Unavailable as reason:
        pytest.skip(str(reason))


@contextmanager
def serving() -> Iterator[str]:
    """The URL of the server over HTTP."""
    process = subprocess.Popen([*SERVER, "--http", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate(timeout=20)


@contextmanager
def targets(folder: Path) -> Iterator[dict[str, str]]:
    """The server's own URL, and those of the gateways before it over HTTP and before it over stdio."""
    policy = folder / "policy.json"
    policy.write_text('{"version": "1", "default": "allow"}', encoding="utf-8")
    with ExitStack() as stack:
        direct = stack.enter_context(serving())
        upstreams = {"http": ["--upstream", direct], "stdio": ["--", *SERVER]}
        running = {
            name: stack.enter_context(gateway.running(policy, ["--no-auth", *upstream], folder / name))
            for name, upstream in upstreams.items()
        }
        yield {"direct": direct, **{name: found.url for name, found in running.items()}}


async def checked(suite: Suite, url: str, revision: str, folder: Path) -> list[Check]:
    runs = [suite.required(url, revision, folder / "required")]
    if revision == REVISIONS[-1]:
        runs += [suite.single(url, revision, folder / name, name) for name in sorted(OF_NO_REVISION)]
    return [check for found in await asyncio.gather(*runs) for check in found]


@pytest.mark.usefixtures("opa_path")
@pytest.mark.parametrize("revision", REVISIONS)
async def test_every_check_that_passes_directly_passes_through_the_gateway(
    revision: str, suite: Suite, tmp_path: Path
) -> None:
    with targets(tmp_path) as urls:
        runs = [checked(suite, url, revision, tmp_path / "results" / name) for name, url in urls.items()]
        direct, *through = await asyncio.gather(*runs)
    assert not faults(direct), "the server that all is held against:\n" + listed(faults(direct))
    for transport, checks in zip(("http", "stdio"), through, strict=True):
        gone = [*lost(direct, checks), *faults(checks)]
        assert not gone, f"lost between a client and a server over {transport}:\n" + listed(gone)


async def test_every_scenario_of_the_suite_is_run(suite: Suite) -> None:
    of_revisions = [await suite.scenarios("--requirements", revision) for revision in REVISIONS]
    assert await suite.scenarios() == set.union(*of_revisions) | OF_NO_REVISION


def listed(checks: list[Check]) -> str:
    return "\n".join(f"  {check}" for check in checks)


def test_lost_is_what_failed_went_missing_or_was_made_less_often() -> None:
    good, twice = Check("s", "good", "n", "SUCCESS"), Check("s", "twice", "n", "SUCCESS")
    gone, bad = Check("s", "gone", "n", "SUCCESS"), Check("s", "bad", "n", "SUCCESS")
    before = [good, twice, twice, gone, bad, Check("s", "never", "n", "FAILURE")]
    after = [good, twice, Check("s", "bad", "n", "WARNING", "why"), Check("s", "never", "n", "FAILURE")]
    assert lost(before, before) == []
    assert lost(before, after) == [
        Check("s", "bad", "n", "WARNING", "why"),
        Check("s", "gone", "n", "MISSING"),
        Check("s", "twice", "n", "MISSING"),
    ]
    assert lost([good], [Check("another", "good", "n", "SUCCESS")]) == [Check("s", "good", "n", "MISSING")]
