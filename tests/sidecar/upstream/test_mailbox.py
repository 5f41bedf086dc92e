import asyncio

import pytest

from sidecar.errors import Broken
from sidecar.upstream.mailbox import Letter, Mailbox


def note(text: str) -> Letter:
    return Letter(text.encode(), droppable=True)


async def lines(mailbox: Mailbox, count: int) -> list[bytes]:
    taken = [await mailbox.take() for _ in range(count)]
    return [letter.line for letter in taken if letter is not None]


async def test_mailbox_gives_letters_in_order_and_then_the_end() -> None:
    mailbox = Mailbox()
    assert mailbox.put(note("a"))
    assert mailbox.put(Letter(b"b", last=True))
    assert not mailbox.put(note("c"))
    assert await lines(mailbox, 2) == [b"a", b"b"]
    assert await mailbox.take() is None


async def test_mailbox_wakes_a_waiting_reader() -> None:
    mailbox = Mailbox()
    reading = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)
    mailbox.put(note("a"))
    mailbox.put(note("b"))
    assert await reading == note("a")


async def test_mailbox_closed_with_an_error_gives_what_it_holds_first() -> None:
    mailbox = Mailbox()
    mailbox.put(note("a"))
    mailbox.close(Broken("gone"))
    mailbox.close()
    assert await lines(mailbox, 1) == [b"a"]
    with pytest.raises(Broken):
        await mailbox.take()


@pytest.mark.parametrize(("max_messages", "max_bytes"), [(2, 100), (100, 2)])
async def test_mailbox_full_drops_the_oldest_it_may(max_messages: int, max_bytes: int) -> None:
    mailbox = Mailbox(max_messages, max_bytes)
    assert mailbox.put(Letter(b"R"))
    for text in "abc":
        assert mailbox.put(note(text))
    assert await lines(mailbox, 2) == [b"R", b"c"]
    assert mailbox.dropped == 2


async def test_mailbox_full_of_what_it_may_not_drop_refuses_more() -> None:
    mailbox = Mailbox(1, 100)
    assert mailbox.put(Letter(b"R"))
    assert not mailbox.put(Letter(b"S"))
    assert not mailbox.put(note("a"))
    assert mailbox.put(Letter(b"answer", last=True))
    assert await lines(mailbox, 2) == [b"R", b"answer"]


async def test_mailbox_letter_over_the_limit_empties_nothing() -> None:
    mailbox = Mailbox(10, 4)
    mailbox.put(Letter(b"R"))
    assert not mailbox.put(note("abcdef"))
    assert await lines(mailbox, 1) == [b"R"]


async def test_mailbox_second_reader_ends_the_first_ones_stream() -> None:
    mailbox = Mailbox()
    first = mailbox.attach()
    reading = asyncio.create_task(mailbox.take(first))
    await asyncio.sleep(0)
    second = mailbox.attach()
    assert await reading is None
    mailbox.put(note("a"))
    assert await mailbox.take(first) is None
    assert await mailbox.take(second) == note("a")
