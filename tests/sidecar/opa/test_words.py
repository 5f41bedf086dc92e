"""What a real child's words come to is in tests/sidecar/opa/test_process.py."""

import asyncio

import pytest

from sidecar.opa.words import Words


class Log:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def error(self, _event: str, said: str) -> None:
        self.told.append(("error", said))

    def warning(self, _event: str, said: str) -> None:
        self.told.append(("warning", said))


async def heard(*chunks: bytes, words: Words) -> str:
    stream = asyncio.StreamReader()
    words.listen(stream)
    for chunk in chunks:
        stream.feed_data(chunk)
    stream.feed_eof()
    return await words.last(10)


async def test_words_are_logged_at_their_level_and_errors_are_kept() -> None:
    log = Log()
    said = await heard(
        b'{"level":"warning","msg":"slow"}\n{"level":"error","msg":"bad',
        b' bundle","err":"no\\nfile"}\npanic: x',
        words=Words(log),
    )
    assert said == "bad bundle no file panic: x"
    assert log.told == [("warning", "slow"), ("error", "bad bundle no\nfile"), ("error", "panic: x")]


async def test_words_that_are_no_news_are_not_told() -> None:
    log = Log()
    line = b'{"level":"warning","msg":"OPA running with uid or gid 0. It is not recommended."}'
    assert await heard(line, words=Words(log)) == "OPA said nothing."
    assert log.told == []


@pytest.mark.parametrize("flood", [b"x" * 100_000, b"line\n" * 100_000])
async def test_words_without_end_are_kept_within_bounds(flood: bytes) -> None:
    assert len(await heard(flood, words=Words(Log()))) <= 600


async def test_words_of_a_new_child_begin_anew() -> None:
    words = Words(Log())
    assert await heard(b"first\n", words=words) == "first"
    assert await heard(b"second\n", words=words) == "second"
