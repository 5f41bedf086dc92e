import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import DecisionError, SettingsError, StoreError
from sidecar.fetch import NotFetched
from sidecar.sources.accepted import Accepted, Trust
from sidecar.sources.following import BundleFollower, Hooks, Pace
from sidecar.sources.kept import FOLDER, Kept
from sidecar.sources.source import Fetched, Unchanged
from tests import bundles
from tests.bundles import OTHER_EC_KEY, key_file

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SEVEN, EIGHT = bundles.bundle(serial=7), bundles.bundle({"p": bundles.DENIES}, serial=8)


class Desk:
    """Plays the source, OPA, the clock and whoever is told. `has` is what the source has: bytes, or why not."""

    def __init__(self, folder: Path, *, max_age_s: float | None = None, **trust: Any) -> None:
        self.folder = folder
        self.has: bytes | Exception = SEVEN
        self.waits = False
        self.every_s = 30.0
        self.asked: list[tuple[str, bool]] = []
        self.published: list[int | None] = []
        self.publish_fails: list[Exception] = []
        self.told: list[str] = []
        self.passed_s = 0.0
        self.trust = Trust((key_file(folder),), **trust)
        self.max_age_s = max_age_s
        self.turn = asyncio.Event()
        self.follower = self.made()

    def made(self) -> BundleFollower:
        """A follower as after a restart."""
        return BundleFollower(
            "https://h/b",
            self,
            self.trust,
            Kept(self.folder / "state", "https://h/b"),
            Hooks(self.publish, self.loaded, self.failed),
            max_age_s=self.max_age_s,
            pace=Pace(start_s=0.2, first_delay_s=0.01, last_delay_s=0.02, least_s=0.0),
            now=lambda: NOON + timedelta(seconds=self.passed_s),
            elapsed=lambda: 1000 + self.passed_s,
        )

    async def restarted(self) -> Accepted | None:
        self.follower = self.made()
        return await self.follower.load()

    async def fetch(self, mark: str, *, wait: bool) -> Fetched | Unchanged:
        self.asked.append((mark, wait))
        self.turn.set()
        await asyncio.sleep(0)
        if isinstance(self.has, Exception):
            raise self.has
        here = str(hash(self.has))
        return Unchanged(self.waits) if mark == here else Fetched(self.has, here, self.waits)

    async def close(self) -> None:
        self.asked.append(("closed", False))

    async def publish(self, bundle: Accepted) -> None:
        if self.publish_fails:
            raise self.publish_fails.pop(0)
        self.published.append(bundle.serial)

    def loaded(self, bundle: Accepted) -> None:
        self.told.append(f"loaded {bundle.serial}")

    def failed(self, error: Exception) -> None:
        self.told.append(str(error))

    def rewind(self) -> list[str]:
        told, self.told = self.told, []
        return told


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    """A desk with serial 7 in force."""
    desk = Desk(tmp_path, max_age_s=60)
    assert await desk.follower.load() is None
    await desk.follower.begin()
    assert desk.rewind() == ["loaded 7"]
    return desk


async def test_without_any_bundle_no_call_may_be_decided(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert await desk.follower.load() is None
    assert desk.follower.stale() == "No bundle of https://h/b is in force."
    desk.has = NotFetched("no answer")
    await desk.follower.begin()
    assert desk.follower.stale() == "No bundle of https://h/b is in force. https://h/b: no answer"
    state = desk.follower.state()
    assert (state.revision, state.age_s, state.document()["in_force"]) == (None, None, False)


async def test_new_bundle_is_published_and_told(desk: Desk) -> None:
    assert desk.follower.stale() == ""
    desk.has = EIGHT
    assert await desk.follower.check_once() is True
    assert desk.published == [7, 8]
    assert desk.rewind() == ["loaded 8"]
    state = desk.follower.state()
    assert (state.serial, state.age_s, state.problem, state.stale) == (8, 0.0, "", "")


async def test_same_bundle_is_published_once(desk: Desk) -> None:
    """Also where the source gives it again under another mark."""
    assert await desk.follower.check_once() is False
    desk.follower._mark = "another"
    assert await desk.follower.check_once() is False
    assert (desk.published, desk.rewind()) == ([7], [])


OLDER = bundles.bundle(serial=6)
REFUSED: list[tuple[str, bytes | Exception, str]] = [
    ("older", OLDER, "it has serial 6, that had 7"),
    ("without a serial", bundles.bundle(), "it has no serial, that had 7"),
    ("unsigned", bundles.packed(bundles.files(serial=9)), "not signed"),
    ("signed by another", bundles.signed(bundles.files(serial=9), OTHER_EC_KEY), "signature is wrong"),
    ("broken", b"<html>", "not gzip"),
    ("away", NotFetched("no answer"), "no answer"),
]


@pytest.mark.parametrize(("has", "says"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
async def test_what_cannot_be_believed_is_told_once_and_the_last_good_stays(
    desk: Desk, has: bytes | Exception, says: str
) -> None:
    desk.has = has
    assert await desk.follower.check_once() is False
    assert await desk.follower.check_once() is False
    (line,) = desk.rewind()
    assert says in line
    assert "\n" not in line
    assert desk.published == [7]
    assert desk.follower.stale() == ""
    assert desk.follower.state().problem == f"https://h/b: {line}"
    desk.has = SEVEN
    await desk.follower.check_once()
    assert desk.rewind() == ["loaded 7"], "whoever was told of the fault is told that it is over"
    assert desk.follower.state().problem == ""


async def test_older_one_is_refused_after_a_restart_too(desk: Desk) -> None:
    desk.has = EIGHT
    await desk.follower.check_once()
    await desk.restarted()
    desk.has = SEVEN
    await desk.follower.begin()
    assert desk.follower.state().serial == 8
    assert "it has serial 7, that had 8" in desk.follower.state().problem


async def test_older_one_is_refused_when_the_kept_bundle_was_taken_away(desk: Desk) -> None:
    next((desk.folder / "state" / FOLDER).glob("*.tar.gz")).unlink()
    desk.has = OLDER
    assert await desk.restarted() is None
    await desk.follower.begin()
    assert desk.follower.stale().startswith("No bundle of https://h/b is in force.")


async def test_kept_bundle_put_back_from_before_is_not_used(desk: Desk) -> None:
    path = next((desk.folder / "state" / FOLDER).glob("*.tar.gz"))
    desk.has = EIGHT
    await desk.follower.check_once()
    path.write_bytes(SEVEN)
    assert await desk.restarted() is None
    assert "it has serial 7, that had 8" in desk.rewind()[-1]


async def test_same_serial_again_is_not_older(desk: Desk) -> None:
    desk.has = bundles.bundle({"p": bundles.DENIES}, serial=7)
    assert await desk.follower.check_once() is True


async def test_restart_without_the_source_uses_the_kept_bundle(desk: Desk) -> None:
    desk.has = NotFetched("no answer")
    kept = await desk.restarted()
    assert kept is not None
    assert (kept.serial, desk.follower.stale()) == (7, "")
    await desk.follower.begin()
    assert (desk.follower.stale(), desk.published) == ("", [7])


async def test_restart_asks_by_the_mark_of_before(desk: Desk) -> None:
    await desk.restarted()
    desk.asked.clear()
    await desk.follower.begin()
    assert desk.asked == [(str(hash(SEVEN)), False)]
    assert desk.published == [7]


async def test_kept_bundle_is_verified_again_by_the_keys_of_now(desk: Desk) -> None:
    desk.trust = Trust((key_file(desk.folder, OTHER_EC_KEY),))
    assert await desk.restarted() is None
    assert "The bundle kept from before is not used. The bundle's signature is wrong." in desk.rewind()[-1]


async def test_policies_not_confirmed_for_too_long_are_no_longer_used(desk: Desk) -> None:
    desk.passed_s = 50
    await desk.follower.check_once()
    desk.has = NotFetched("no answer")
    desk.passed_s = 110
    await desk.follower.check_once()
    assert desk.follower.stale() == "", "an answer without news counts"
    desk.passed_s = 111
    assert desk.follower.stale() == (
        "https://h/b confirmed the policies 61 s ago; max_policy_age_s is 60. https://h/b: no answer"
    )
    desk.has = SEVEN
    await desk.follower.check_once()
    assert desk.follower.stale() == ""


async def test_bundle_that_is_refused_confirms_nothing(desk: Desk) -> None:
    desk.has = OLDER
    desk.passed_s = 61
    await desk.follower.check_once()
    assert "61 s ago" in desk.follower.stale()


async def test_age_goes_on_over_a_restart(desk: Desk) -> None:
    desk.has = NotFetched("no answer")
    desk.passed_s = 61
    await desk.restarted()
    await desk.follower.begin()
    assert "61 s ago" in desk.follower.stale()


async def test_age_is_not_known_when_the_clock_was_set_back(desk: Desk) -> None:
    desk.has = NotFetched("no answer")
    desk.passed_s = -1
    await desk.restarted()
    assert desk.follower.stale().startswith("https://h/b confirmed the policies at a time that is not known;")
    assert desk.follower.state().age_s is None


async def test_bundle_that_opa_does_not_take_is_not_kept(desk: Desk) -> None:
    desk.has = EIGHT
    desk.publish_fails = [DecisionError("OPA does not take it."), DecisionError("OPA does not take it.")]
    assert await desk.follower.check_once() is False
    assert await desk.follower.check_once() is False
    assert desk.rewind() == ["OPA does not take it."]
    kept = await desk.restarted()
    assert kept is not None
    assert kept.serial == 7


async def test_bundle_that_cannot_be_kept_is_in_force_and_kept_later(desk: Desk) -> None:
    folder = desk.folder / "state" / FOLDER
    folder.rename(folder.with_name("away"))
    folder.write_text("")
    desk.has = EIGHT
    assert await desk.follower.check_once() is False
    assert desk.rewind()[0] == "loaded 8"
    assert "cannot be" in desk.follower.state().problem
    folder.unlink()
    await desk.follower.check_once()
    kept = await desk.restarted()
    assert kept is not None
    assert kept.serial == 8


async def test_error_that_nobody_expects_tells_nothing_of_what_it_holds(desk: Desk) -> None:
    desk.has = KeyError("a secret")
    assert await desk.follower.check_once() is False
    assert desk.rewind() == ["Unexpected KeyError."]


async def test_begin_waits_for_a_silent_source_no_longer_than_a_start_may_take(tmp_path: Path) -> None:
    desk = Desk(tmp_path)

    async def silent(mark: str, *, wait: bool) -> Fetched:
        await asyncio.Event().wait()
        raise AssertionError

    desk.fetch = silent  # type: ignore[method-assign]
    await desk.follower.load()
    await desk.follower.begin()
    assert "no answer within 0.2 s" in desk.follower.stale()


async def test_load_with_a_key_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.trust.keys[0].file.unlink()
    with pytest.raises(SettingsError):
        await desk.follower.load()


async def test_load_of_a_damaged_note_is_an_error(desk: Desk) -> None:
    next((desk.folder / "state" / FOLDER).glob("*.json")).write_text("{")
    with pytest.raises(StoreError):
        await desk.restarted()


async def _until(desk: Desk, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            desk.turn.clear()
            await desk.turn.wait()


async def test_run_asks_again_after_a_failure_and_waits_where_that_is_offered(desk: Desk) -> None:
    desk.has, desk.waits = NotFetched("no answer"), True
    await desk.follower.check_once()
    desk.asked.clear()
    running = asyncio.create_task(desk.follower.run())
    await _until(desk, lambda: len(desk.asked) >= 3)
    assert not any(wait for _, wait in desk.asked), "who could not be reached is not waited for"
    desk.has = EIGHT
    await _until(desk, lambda: desk.published == [7, 8] and desk.asked[-1][1])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await desk.follower.close()
    assert desk.asked[-1] == ("closed", False)


async def test_run_does_not_hurry_a_server_that_waits_for_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.waits = True
    await desk.follower.load()
    await desk.follower.begin()
    desk.follower._pace = Pace(least_s=1.0)
    running = asyncio.create_task(desk.follower.run())
    await _until(desk, lambda: len(desk.asked) >= 2)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await _until(desk, lambda: len(desk.asked) > 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
