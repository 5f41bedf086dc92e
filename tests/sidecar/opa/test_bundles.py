import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import DecisionError, OpaUnreachable
from sidecar.opa import bundles
from sidecar.opa.bundles import Publisher
from sidecar.opa.client import OpaClient
from sidecar.opa.process import BUNDLE, OpaProcess

Make = Callable[..., Any]


class Watcher:
    """A stand-in OPA: takes a file it knows as soon as it is asked, and ignores the first `blind` writes."""

    def __init__(self, path: Path, *known: Any, blind: int = 0) -> None:
        self.known = {
            bundle.data: {name: policy.revision for name, policy in bundle.policies.items()} for bundle in known
        }
        self.path, self.blind = path, blind
        self.seen = 0
        self.held: dict[str, str] = {}
        self.raises: list[Exception] = []

    async def ask(self, path: str, query: bytes) -> bytes:
        assert (path, query) == ("mcp/gate/revisions", b"{}")
        await asyncio.sleep(0)
        if self.raises:
            raise self.raises.pop(0)
        written = self.path.stat().st_mtime_ns
        if written != self.seen:
            self.seen = written
            self.blind -= 1
        if self.blind < 0:
            self.held = self.known.get(self.path.read_bytes(), self.held)
        return json.dumps({"result": self.held}).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / BUNDLE).parent.mkdir()
    return tmp_path


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_publish_returns_once_opa_holds_it(folder: Path, bundle_of: Make) -> None:
    bundle = bundle_of(p="r1", q="r7")
    opa = Watcher(folder / BUNDLE, bundle)
    publisher = Publisher(folder, opa.ask)
    await publisher.publish(bundle)
    assert await publisher.held() == {"p": "r1", "q": "r7"}
    assert left_in(folder) == ["policy"]
    assert left_in(folder / "policy") == ["bundle.tar.gz"]


async def test_publish_not_taken_tells_what_opa_holds_and_puts_the_last_good_back(
    folder: Path, bundle_of: Make
) -> None:
    good, bad = bundle_of(p="r1", q="r7"), bundle_of(p="r2", s="r1")
    opa = Watcher(folder / BUNDLE, good)
    publisher = Publisher(folder, opa.ask, active_s=0.1)
    await publisher.publish(good)
    with pytest.raises(DecisionError) as caught:
        await publisher.publish(bad)
    assert str(caught.value) == (
        "OPA did not take the new policies within 0.1 s. It holds p: r1 for r2, q: r7 for nothing, s: nothing for r1."
    )
    assert (folder / BUNDLE).read_bytes() == good.data


async def test_publish_many_differences_are_told_briefly(folder: Path, bundle_of: Make) -> None:
    opa = Watcher(folder / BUNDLE)
    publisher = Publisher(folder, opa.ask, active_s=0.1)
    with pytest.raises(DecisionError, match=r"p104: nothing for r and 95 more\.$"):
        await publisher.publish(bundle_of(**{f"p{i}": "r" for i in range(100, 200)}))


async def test_publish_subset_of_what_opa_holds_is_not_enough(folder: Path, bundle_of: Make) -> None:
    both, one = bundle_of(p="r1", q="r7"), bundle_of(p="r1")
    opa = Watcher(folder / BUNDLE, both)
    publisher = Publisher(folder, opa.ask, active_s=0.1)
    await publisher.publish(both)
    with pytest.raises(DecisionError, match="q: r7 for nothing"):
        await publisher.publish(one)


async def test_publish_placed_bundle_is_the_last_good_one(folder: Path, bundle_of: Make) -> None:
    publisher = Publisher(folder, Watcher(folder / BUNDLE).ask, active_s=0.1)
    publisher.place(bundle_of(p="r1"))
    with pytest.raises(DecisionError):
        await publisher.publish(bundle_of(p="r2"))
    assert (folder / BUNDLE).read_bytes() == bundle_of(p="r1").data


async def test_publish_while_opa_restarts_waits_for_it(folder: Path, bundle_of: Make) -> None:
    opa = Watcher(folder / BUNDLE, bundle_of(p="r1"))
    opa.raises = [OpaUnreachable("gone"), OpaUnreachable("gone")]
    await Publisher(folder, opa.ask).publish(bundle_of(p="r1"))
    assert opa.raises == []


async def test_publish_unreachable_opa_is_the_reason_told(folder: Path, bundle_of: Make) -> None:
    opa = Watcher(folder / BUNDLE)
    opa.raises = [OpaUnreachable("OPA cannot be reached.")] * 100
    with pytest.raises(DecisionError, match=r"within 0\.1 s\. OPA cannot be reached\.$"):
        await Publisher(folder, opa.ask, active_s=0.1).publish(bundle_of(p="r1"))


async def test_publish_lost_notification_is_repeated(
    folder: Path, bundle_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "_NUDGE_S", 0.05)
    opa = Watcher(folder / BUNDLE, bundle_of(p="r1"), blind=2)
    await Publisher(folder, opa.ask).publish(bundle_of(p="r1"))
    assert opa.held == {"p": "r1"}


async def test_publish_two_at_once_go_one_after_the_other(folder: Path, bundle_of: Make) -> None:
    first, second = bundle_of(p="r1"), bundle_of(p="r2")
    opa = Watcher(folder / BUNDLE, first, second)
    publisher = Publisher(folder, opa.ask, active_s=1)
    await asyncio.gather(publisher.publish(first), publisher.publish(second))
    assert await publisher.held() == {"p": "r2"}


async def test_publish_cancelled_puts_the_last_good_back(folder: Path, bundle_of: Make) -> None:
    asked = asyncio.Event()

    async def ask(path: str, query: bytes) -> bytes:
        asked.set()
        return await asyncio.get_running_loop().create_future()

    publisher = Publisher(folder, ask)
    publisher.place(bundle_of(p="r1"))
    task = asyncio.create_task(publisher.publish(bundle_of(p="r2")))
    await asyncio.wait_for(asked.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (folder / BUNDLE).read_bytes() == bundle_of(p="r1").data


async def test_publish_unwritable_folder_keeps_what_is_there(folder: Path, bundle_of: Make) -> None:
    publisher = Publisher(folder, Watcher(folder / BUNDLE).ask)
    publisher.place(bundle_of(p="r1"))
    (folder / ".bundle").mkdir()
    with pytest.raises(DecisionError, match=r"cannot be written to .*: Is a directory"):
        await publisher.publish(bundle_of(p="r2"))
    assert (folder / BUNDLE).read_bytes() == bundle_of(p="r1").data


async def test_publish_real_opa_under_questions_never_answers_without_a_policy(
    opa: OpaProcess, client: OpaClient, directory: Path, bundle_of: Make
) -> None:
    publisher = Publisher(directory, client.ask)
    publisher.place(bundle_of(p="r0"))
    await opa.start()
    seen: list[str] = []

    async def ask_on() -> None:
        while True:
            seen.append((await publisher.held())["p"])

    asking = [asyncio.create_task(ask_on()) for _ in range(4)]
    wanted = [f"r{i}" for i in range(21)]
    for revision in wanted[1:]:
        await publisher.publish(bundle_of(p=revision))
    for task in asking:
        task.cancel()
    ended = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(end) for end in ended} == {asyncio.CancelledError}
    assert set(seen) <= set(wanted)
    assert opa.restarts == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda make: b"junk",
        lambda make: make(p="r2").data[: len(make(p="r2").data) // 2],
        lambda make: make(rego="package mcp.gate\n\nrevisions := nothing(").data,
        lambda make: make(rego="package outside\n\nx := 1\n").data,
        lambda make: b"",
    ],
    ids=["junk", "cut off", "not Rego", "outside its roots", "empty"],
)
async def test_publish_real_opa_bad_bundle_keeps_the_old_policies(
    opa: OpaProcess, client: OpaClient, directory: Path, bundle_of: Make, spoil: Callable[[Make], bytes]
) -> None:
    publisher = Publisher(directory, client.ask, active_s=0.5)
    publisher.place(bundle_of(p="r1"))
    await opa.start()
    bad = type(bundle_of())(spoil(bundle_of), bundle_of(p="r2").policies)
    with pytest.raises(DecisionError, match="It holds p: r1 for r2"):
        await publisher.publish(bad)
    assert await publisher.held() == {"p": "r1"}
    for revision in ("r3", "r4"):
        await publisher.publish(bundle_of(p=revision))
    assert await publisher.held() == {"p": "r4"}
