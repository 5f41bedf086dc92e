"""An OPA of somebody else: a stock `opa run` that the test starts, with the right policies, other ones, or none."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sidecar.core.query import Asker
from sidecar.errors import DecisionError, DecisionUndefined, OpaUnreachable
from sidecar.http1 import Origin
from sidecar.opa.client import OpaClient
from sidecar.opa.foreign import ForeignOpa, WrongRevision
from sidecar.sources.accepted import Trust, accept
from sidecar.sources.archive import pack
from tests import bundles

EXPECTED = accept(bundles.packed(bundles.files({"p": bundles.ALLOWS, "q": bundles.DENIES})), Trust())
OTHER = accept(bundles.packed(bundles.files({"p": bundles.ALLOWS.replace(b"add", b"ad")})), Trust())
ALLOWS_ALL = """package mcp.gate

decision := {"outcome": "allow", "rule": "", "message": "", "revision": "%s", "limits": []}
decisions := [decision | some _ in input.calls]
visible := {"names": input.tools, "revision": "%s"}
revisions := {"p": "%s"}
"""
CALL = Asker(policy="p", server="s", grant="g").call("add", b"{}")
LIST = Asker(policy="p", server="s", grant="g").visible(["add", "drop"])
Start = Callable[..., Awaitable[asyncio.subprocess.Process]]


def everything(revision: str) -> bytes:
    """A bundle of somebody who means well: all is allowed."""
    manifest = json.dumps({"revision": "x", "roots": ["mcp"], "rego_version": 1})
    return pack({".manifest": manifest, "mcp/gate/gate.rego": ALLOWS_ALL % ((revision,) * 3)})


@pytest.fixture
def socket_path() -> Sequence[Path]:
    """Short enough for a socket, whatever the tests' own folder is called."""
    with TemporaryDirectory(prefix="opa-", dir="/tmp") as folder:
        yield Path(folder) / "opa.sock"


@pytest.fixture
async def start(opa_path: Path, tmp_path: Path) -> AsyncIterator[Start]:
    """`start(address, bundle)`: an OPA that answers there once this returns."""
    running = []

    async def run(address: str, bundle: bytes | None, *more: str) -> asyncio.subprocess.Process:
        arguments = []
        if bundle is not None:
            (tmp_path / "bundle.tar.gz").write_bytes(bundle)
            arguments = ["--bundle", str(tmp_path / "bundle.tar.gz")]
        process = await asyncio.create_subprocess_exec(
            *(opa_path, "run", "--server", "--addr", address, "--skip-version-check", "--log-level", "error"),
            *arguments,
            *more,
            stdin=asyncio.subprocess.DEVNULL,
        )
        running.append(process)
        async with asyncio.timeout(60):
            while not await _connects(address):
                assert process.returncode is None, "OPA ended at its start"
                await asyncio.sleep(0.05)
        return process

    yield run
    for process in running:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _connects(address: str) -> bool:
    try:
        if address.startswith("unix://"):
            _, writer = await asyncio.open_unix_connection(address.removeprefix("unix://"))
        else:
            host, _, port = address.rpartition(":")
            _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@pytest.fixture
async def opa(socket_path: Path) -> AsyncIterator[ForeignOpa]:
    """The one on the socket, whose decisions must be by `EXPECTED`."""
    made = ForeignOpa("unix", OpaClient(Origin(socket_path=str(socket_path)), timeout_s=10))
    await made.start()
    made.place(EXPECTED)
    yield made
    await made.close()


async def test_opa_with_the_right_revision_decides(opa: ForeignOpa, start: Start, socket_path: Path) -> None:
    await start(f"unix://{socket_path}", EXPECTED.data)
    assert (await opa.decide(CALL)).outcome == "allow"
    assert (await opa.decide(Asker(policy="q", server="s", grant="g").call("add", b"{}"))).rule == "(default deny)"
    assert (await opa.decide(Asker(policy=None, server="s", grant="g").call("add", b"{}"))).rule == "(no policy)"
    assert (await opa.visible(LIST)).names == ["add", "drop"]
    assert await opa.held() == {id_: policy.revision for id_, policy in EXPECTED.policies.items()}
    assert [each.outcome for each in await asyncio.gather(*(opa.decide(CALL) for _ in range(20)))] == ["allow"] * 20


async def test_opa_over_tcp_with_a_token_decides(start: Start, tmp_path: Path) -> None:
    authz = 'package system.authz\n\ndefault allow := false\n\nallow if input.identity == "t0ken"\n'
    manifest = '{"roots": ["system"], "rego_version": 1}'
    (tmp_path / "authz.tar.gz").write_bytes(pack({".manifest": manifest, "authz.rego": authz}))
    port = free_port()
    more = (str(tmp_path / "authz.tar.gz"), "--authentication=token", "--authorization=basic")
    await start(f"127.0.0.1:{port}", EXPECTED.data, *more)
    origin = Origin("127.0.0.1", port)
    right = ForeignOpa("", OpaClient(origin, timeout_s=10, authorization="Bearer t0ken"))
    wrong = ForeignOpa("", OpaClient(origin, timeout_s=10, authorization="Bearer other"))
    for each in (right, wrong):
        each.place(EXPECTED)
    assert (await right.decide(CALL)).outcome == "allow"
    with pytest.raises(DecisionError, match="status 401"):
        await wrong.decide(CALL)
    for each in (right, wrong):
        await each.close()


WRONG = {"older": OTHER.data, "all": everything("sha256:0"), "nothing": everything("")}


@pytest.mark.parametrize("bundle", WRONG.values(), ids=WRONG)
async def test_opa_with_another_revision_decides_nothing(
    opa: ForeignOpa, start: Start, socket_path: Path, bundle: bytes
) -> None:
    await start(f"unix://{socket_path}", bundle)
    with pytest.raises(DecisionError):
        await opa.decide(CALL)
    with pytest.raises(WrongRevision, match="OPA decided by revision"):
        await opa.visible(LIST)


async def test_opa_of_another_policy_s_revision_decides_nothing(
    opa: ForeignOpa, start: Start, socket_path: Path
) -> None:
    await start(f"unix://{socket_path}", everything(EXPECTED.policies["q"].revision))
    with pytest.raises(WrongRevision, match="of policy 'p', not by"):
        await opa.decide(CALL)


async def test_opa_without_a_bundle_decides_nothing(opa: ForeignOpa, start: Start, socket_path: Path) -> None:
    await start(f"unix://{socket_path}", None)
    with pytest.raises(DecisionUndefined):
        await opa.decide(CALL)
    with pytest.raises(DecisionUndefined):
        await opa.visible(LIST)


async def test_policy_of_which_no_revision_is_expected_is_not_decided(
    opa: ForeignOpa, start: Start, socket_path: Path
) -> None:
    await start(f"unix://{socket_path}", EXPECTED.data)
    await opa.publish_examined(OTHER)
    with pytest.raises(WrongRevision, match="No revision is expected of policy 'q'"):
        await opa.decide(Asker(policy="q", server="s", grant="g").call("add", b"{}"))
    with pytest.raises(WrongRevision, match="not by"):
        await opa.decide(CALL)


async def test_opa_that_goes_and_comes_back(opa: ForeignOpa, start: Start, socket_path: Path) -> None:
    first = await start(f"unix://{socket_path}", EXPECTED.data)
    assert (await opa.decide(CALL)).outcome == "allow"
    first.kill()
    await first.wait()
    with pytest.raises(OpaUnreachable):
        await opa.decide(CALL)
    await start(f"unix://{socket_path}", EXPECTED.data)
    assert (await opa.decide(CALL)).outcome == "allow"


async def test_query_that_names_its_policy_elsewhere_is_not_decided(
    opa: ForeignOpa, start: Start, socket_path: Path
) -> None:
    await start(f"unix://{socket_path}", EXPECTED.data)
    with pytest.raises(DecisionError, match="does not name a policy"):
        await opa.decide(b'{"tool":"add","policy":"p","args":{}}')
