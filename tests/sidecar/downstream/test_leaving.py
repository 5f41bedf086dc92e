import asyncio

from sidecar.downstream.leaving import Leaving


async def test_begin_tells_at_once_and_is_due_after_the_announcement() -> None:
    told: list[str] = []
    leaving = Leaving(0.05, 7)
    leaving.serving(lambda: told.append("one"))
    leaving.serving(lambda: told.append("two"))
    assert leaving.begin()
    assert leaving.has_begun
    assert told == ["one", "two"]
    assert not leaving.due.is_set()
    async with asyncio.timeout(10):
        await leaving.due.wait()
    assert leaving.begin()
    assert told == ["one", "two"]
    assert not leaving.is_hurried


async def test_begin_before_anything_is_served_is_refused() -> None:
    leaving = Leaving(0, 0)
    assert not leaving.begin()
    assert not leaving.has_begun


async def test_hurry_makes_an_end_of_waiting() -> None:
    leaving = Leaving(600, 600)
    leaving.serving(lambda: None)
    leaving.begin()
    leaving.hurry()
    assert leaving.due.is_set()
    assert leaving.is_hurried
