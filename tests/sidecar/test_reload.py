import asyncio
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sidecar import reload
from sidecar.errors import DecisionError, SettingsError
from sidecar.http1 import Origin
from sidecar.opa.bundles import Publisher
from sidecar.opa.client import OpaClient
from sidecar.opa.process import OpaProcess, revisions, runtime_directory
from sidecar.reload import PolicyReload
from translator import Bundle, PolicyRejected, Problem, translate

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Desk:
    """Plays the translator, the publisher and whoever is told, and keeps a tape of it."""

    def __init__(self, *paths: Path) -> None:
        self.tape: list[tuple[str, Any]] = []
        self.publish_fails: list[Exception] = []
        self.minutes = 0
        files = {path.stem: path for path in paths}
        self.reload = PolicyReload(lambda: files, self.translate, self.publish, self.loaded, self.error, now=self.now)

    def translate(self, contents: Mapping[str, bytes]) -> Bundle:
        texts = {policy: content.decode() for policy, content in contents.items()}
        self.tape.append(("translate", texts))
        bad = [policy for policy, text in texts.items() if text.startswith("bad")]
        if bad:
            raise PolicyRejected(tuple(Problem(policy, "", 1, 1, f"{texts[policy]}.") for policy in bad))
        if "bug" in texts.values():
            raise KeyError("a secret of the policy")
        return Bundle(repr(texts).encode(), "sha256:0", {})

    async def publish(self, bundle: Bundle) -> None:
        self.tape.append(("publish", bundle.data.decode()))
        if self.publish_fails:
            raise self.publish_fails.pop(0)

    def loaded(self, bundle: Bundle) -> None:
        self.tape.append(("loaded", bundle.data.decode()))

    def error(self, error: Exception) -> None:
        self.tape.append(("error", str(error)))

    def now(self) -> datetime:
        self.minutes += 1
        return NOON + timedelta(minutes=self.minutes)

    def rewind(self) -> list[str]:
        """What happened since the last time, by name."""
        names = [name for name, _ in self.tape]
        self.tape.clear()
        return names


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "p.json"
    path.write_text("one")
    return path


@pytest.fixture
async def desk(policy: Path) -> Desk:
    """A desk that has loaded its one policy."""
    desk = Desk(policy)
    await desk.reload.load()
    desk.rewind()
    return desk


def put(path: Path, text: str) -> None:
    """What an editor does that renames: another inode with another content."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def overwrite(path: Path, text: str) -> None:
    """What an editor does that writes in place."""
    path.write_text(text)


def overwrite_within_one_tick(path: Path, text: str) -> None:
    """What an editor does right after we have read: the time stamp stays."""
    before = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(before, before))


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def vanish(path: Path) -> None:
    path.unlink()


def age(path: Path, seconds: int = 60) -> None:
    """Makes a file look as if it had been written a while ago."""
    at = path.stat().st_mtime_ns - seconds * 1_000_000_000
    os.utime(path, ns=(at, at))


async def test_load_gives_the_bundle_and_publishes_nothing(policy: Path) -> None:
    desk = Desk(policy)
    bundle = await desk.reload.load()
    assert bundle.data == b"{'p': 'one'}"
    assert desk.rewind() == ["translate"]
    assert desk.reload.loaded_at == NOON + timedelta(minutes=1)
    assert await desk.reload.check_once() is False
    assert desk.rewind() == []


async def test_document_in_force_is_the_last_that_was_published(tmp_path: Path) -> None:
    """A file that is broken, or not published yet, is not in force."""
    good, other = b'{"version": "1", "default": "deny"}', b'{"version": "1", "default": "allow"}'
    (tmp_path / "p.json").write_bytes(good)
    failing: list[Exception] = []

    async def publish(bundle: Bundle) -> None:
        if failing:
            raise failing.pop()

    kept = PolicyReload(lambda: {"p": tmp_path / "p.json"}, translate, publish, lambda _: None, lambda _: None)
    assert kept.in_force("p") is None
    bundle = await kept.load()
    assert kept.in_force("p") == (bundle.policies["p"].revision, good)
    assert kept.in_force("q") is None
    (tmp_path / "p.json").write_bytes(b"broken")
    await kept.check_once()
    assert kept.in_force("p") == (bundle.policies["p"].revision, good)
    (tmp_path / "p.json").write_bytes(other)
    failing.append(DecisionError("OPA is away."))
    await kept.check_once()
    assert kept.in_force("p") == (bundle.policies["p"].revision, good)
    await kept.check_once()
    assert kept.in_force("p") == (translate({"p": other}).policies["p"].revision, other)


async def test_load_rejected_policy_is_raised(policy: Path) -> None:
    overwrite(policy, "bad one")
    desk = Desk(policy)
    with pytest.raises(PolicyRejected):
        await desk.reload.load()
    assert desk.reload.loaded_at is None


async def test_load_names_every_unreadable_file(policy: Path) -> None:
    gone = [policy.with_name(name) for name in ("q.json", "r.json")]
    with pytest.raises(SettingsError) as caught:
        await Desk(policy, *gone).reload.load()
    assert str(caught.value) == (
        f"{gone[0]} (policy q) cannot be read: No such file or directory. "
        f"{gone[1]} (policy r) cannot be read: No such file or directory."
    )


@pytest.mark.parametrize("write", [put, overwrite])
@pytest.mark.parametrize("text", ["two", "three", ""])
async def test_check_changed_file_is_translated_and_published(
    desk: Desk, policy: Path, write: Callable[[Path, str], None], text: str
) -> None:
    write(policy, text)
    assert await desk.reload.check_once() is True
    assert desk.tape == [
        ("translate", {"p": text}),
        ("publish", f"{{'p': '{text}'}}"),
        ("loaded", f"{{'p': '{text}'}}"),
    ]
    assert desk.reload.loaded_at == NOON + timedelta(minutes=2)
    assert desk.reload.last_error is None


async def test_check_same_content_in_a_new_file_is_no_change(desk: Desk, policy: Path) -> None:
    put(policy, "one")
    assert await desk.reload.check_once() is False
    assert desk.rewind() == []


async def test_check_old_file_with_another_time_is_read_again(policy: Path) -> None:
    age(policy)
    desk = Desk(policy)
    await desk.reload.load()
    overwrite(policy, "two")
    age(policy, 30)
    assert await desk.reload.check_once() is True


async def test_check_fresh_file_changed_within_one_tick_of_the_clock_is_seen(desk: Desk, policy: Path) -> None:
    overwrite_within_one_tick(policy, "two")
    assert await desk.reload.check_once() is True


async def test_check_settled_file_is_not_read_again(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    age(policy)
    desk = Desk(policy)
    await desk.reload.load()
    monkeypatch.setattr(reload.os, "open", lambda *_: pytest.fail("read"))
    assert await desk.reload.check_once() is False


async def test_check_swapped_links_of_a_configmap_are_seen(tmp_path: Path) -> None:
    for version, text in (("v1", "one"), ("v2", "two")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "p.json").write_text(text)
        age(tmp_path / version / "p.json")
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "p.json").symlink_to("..data/p.json")
    desk = Desk(tmp_path / "p.json")
    await desk.reload.load()
    (tmp_path / "..next").symlink_to("v2")
    (tmp_path / "..next").replace(tmp_path / "..data")
    assert await desk.reload.check_once() is True
    assert desk.tape[-1] == ("loaded", "{'p': 'two'}")


async def test_check_one_of_two_changed_translates_both(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    first.write_text("one")
    second.write_text("two")
    desk = Desk(first, second)
    await desk.reload.load()
    put(first, "three")
    assert await desk.reload.check_once() is True
    assert desk.tape[-1] == ("loaded", "{'a': 'three', 'b': 'two'}")


async def test_check_rejected_policy_is_told_once_and_not_tried_again(desk: Desk, policy: Path) -> None:
    put(policy, "bad one")
    assert [await desk.reload.check_once() for _ in range(3)] == [False] * 3
    assert desk.tape == [("translate", {"p": "bad one"}), ("error", "p:1:1: bad one.")]
    assert desk.reload.last_error == "p:1:1: bad one."
    assert desk.reload.loaded_at == NOON + timedelta(minutes=1)


async def test_check_another_rejected_policy_is_told_again(desk: Desk, policy: Path) -> None:
    for text in ("bad one", "bad two", "bad one"):
        put(policy, text)
        await desk.reload.check_once()
    assert [said for name, said in desk.tape if name == "error"] == [
        "p:1:1: bad one.",
        "p:1:1: bad two.",
        "p:1:1: bad one.",
    ]


async def test_check_return_to_the_active_policy_ends_the_error(desk: Desk, policy: Path) -> None:
    put(policy, "bad one")
    await desk.reload.check_once()
    put(policy, "one")
    desk.rewind()
    assert [await desk.reload.check_once() for _ in range(2)] == [False, False]
    assert desk.reload.last_error is None
    assert desk.tape == [("loaded", "{'p': 'one'}")]
    assert desk.reload.loaded_at == NOON + timedelta(minutes=1)


async def test_check_corrected_policy_is_published(desk: Desk, policy: Path) -> None:
    put(policy, "bad one")
    await desk.reload.check_once()
    put(policy, "good")
    desk.rewind()
    assert await desk.reload.check_once() is True
    assert desk.rewind() == ["translate", "publish", "loaded"]
    assert desk.reload.last_error is None


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def become_huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (vanish, "No such file or directory"),
        (become_a_folder, "not a regular file"),
        (become_a_pipe, "not a regular file"),
        (become_a_loop, "Too many levels of symbolic links"),
        (become_huge, "larger than 16777216 bytes"),
    ],
)
async def test_check_unreadable_file_is_told_once_and_keeps_the_policy(
    desk: Desk, policy: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(policy)
    opened = open_files()
    assert [await desk.reload.check_once() for _ in range(3)] == [False] * 3
    assert open_files() == opened
    assert desk.tape == [("error", f"{policy} (policy p) cannot be read: {reason}.")]
    assert desk.reload.last_error == desk.tape[0][1]


async def test_check_vanished_file_that_returns_changed_is_published(desk: Desk, policy: Path) -> None:
    vanish(policy)
    await desk.reload.check_once()
    overwrite(policy, "two")
    assert await desk.reload.check_once() is True
    assert desk.reload.last_error is None


async def test_check_rejected_file_that_was_away_is_told_again(desk: Desk, policy: Path) -> None:
    put(policy, "bad one")
    await desk.reload.check_once()
    vanish(policy)
    await desk.reload.check_once()
    overwrite(policy, "bad one")
    await desk.reload.check_once()
    assert desk.reload.last_error == "p:1:1: bad one."
    assert desk.rewind() == ["translate", "error", "error", "translate", "error"]


async def test_check_failed_publishing_is_told_once_and_tried_again(desk: Desk, policy: Path) -> None:
    desk.publish_fails = [DecisionError("OPA did not take it."), DecisionError("OPA did not take it.")]
    put(policy, "two")
    assert [await desk.reload.check_once() for _ in range(4)] == [False, False, True, False]
    assert desk.rewind() == ["translate", "publish", "error", *["translate", "publish"] * 2, "loaded"]
    assert desk.reload.last_error is None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device"), "The new policies cannot be published: No space left on device."),
        (ZeroDivisionError("inner text"), "The new policies cannot be used: ZeroDivisionError inside the sidecar."),
        (DecisionError("OPA did not take it."), "OPA did not take it."),
    ],
)
async def test_check_failed_publishing_is_told_in_one_line(
    desk: Desk, policy: Path, error: Exception, told: str
) -> None:
    desk.publish_fails = [error]
    put(policy, "two")
    assert await desk.reload.check_once() is False
    assert desk.tape[-1] == ("error", told)


async def test_check_fault_of_ours_does_not_stop_the_watch_and_keeps_quiet_about_values(
    desk: Desk, policy: Path
) -> None:
    put(policy, "bug")
    assert await desk.reload.check_once() is False
    assert desk.tape[-1] == ("error", "The new policies cannot be used: KeyError inside the sidecar.")
    put(policy, "two")
    assert await desk.reload.check_once() is True


async def test_run_checks_until_cancelled(desk: Desk, policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "_EVERY_S", 0.001)
    loaded = asyncio.Event()
    desk.loaded = lambda _: loaded.set()  # type: ignore[method-assign]
    monkeypatch.setattr(desk.reload, "_on_loaded", desk.loaded)
    task = asyncio.create_task(desk.reload.run())
    put(policy, "two")
    await asyncio.wait_for(loaded.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_reload_real_translator_and_opa_follow_the_file(opa_path: Path, policy: Path) -> None:
    told: list[Exception] = []
    directory = runtime_directory()
    opa = OpaProcess(opa_path, directory)
    client = OpaClient(Origin(socket_path=str(opa.socket_path)))
    publisher = Publisher(directory, client.ask)
    policies = PolicyReload(lambda: {"p": policy}, translate, publisher.publish, lambda _: None, told.append)
    try:
        put(policy, '{"version": "1", "default": "allow"}')
        first = await policies.load()
        publisher.place(first)
        await opa.start()
        assert await revisions(client.ask) == {"p": first.policies["p"].revision}
        put(policy, '{"version": "1", "default": "deny"}')
        assert await policies.check_once() is True
        held = await revisions(client.ask)
        assert held["p"] != first.policies["p"].revision
        put(policy, '{"version": "1", "default": "den')
        assert await policies.check_once() is False
        assert await revisions(client.ask) == held
        assert [type(error) for error in told] == [PolicyRejected]
    finally:
        await client.close()
        await opa.stop()
