import pytest

from sidecar.errors import Broken, TimedOut
from sidecar.upstream.calls import Call, Stream, read
from sidecar.upstream.mailbox import Letter, Mailbox


@pytest.mark.parametrize(
    ("line", "is_answer"),
    [
        (b'{"jsonrpc":"2.0","id":1,"result":{}}', True),
        (b'{"jsonrpc":"2.0","id":"a","error":{"code":1,"message":""}}', True),
        (b'{"jsonrpc":"2.0","id":1,"result":null}', True),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', False),
        (b'{"jsonrpc":"2.0","method":"notifications/x"}', False),
        (b"{}", False),
    ],
)
def test_read_message_tells_answers_from_the_rest(line: bytes, is_answer: bool) -> None:
    message = read(line)
    assert message is not None
    assert message.is_answer is is_answer


@pytest.mark.parametrize(
    "line",
    [b"hello", b"[]", b"1", b"", b'{"id":1', b'{"id":1.5}', b'{"id":true}', b'{"a":"\xff"}', b'{"a":' + b"[" * 100_000],
)
def test_read_junk_is_none(line: bytes) -> None:
    assert read(line) is None


async def test_call_unanswered_in_time_is_timed_out() -> None:
    with pytest.raises(TimedOut, match=r"within 0\.01 s"):
        await Call("ping", b"1").next(0.01)


def stream_of(*letters: Letter, error: Exception | None = None) -> tuple[Stream, list[BaseException]]:
    mailbox = Mailbox()
    for letter in letters:
        mailbox.put(letter)
    mailbox.close(error)
    left: list[BaseException] = []
    return Stream(mailbox.take, left.append), left


async def test_stream_ends_after_the_last_letter_without_leaving() -> None:
    stream, left = stream_of(Letter(b"a"), Letter(b"b", last=True))
    assert [event.data async for event in stream] == [b"a", b"b"]
    await stream.aclose()
    assert left == []


async def test_stream_closed_before_it_was_read_leaves_once() -> None:
    stream, left = stream_of(Letter(b"a"))
    await stream.aclose()
    await stream.aclose()
    assert [type(error) for error in left] == [GeneratorExit]
    assert [event async for event in stream] == []


async def test_stream_that_fails_leaves_and_raises() -> None:
    stream, left = stream_of(Letter(b"a"), error=Broken("gone"))
    assert (await anext(stream)).data == b"a"
    with pytest.raises(Broken):
        await anext(stream)
    assert [type(error) for error in left] == [Broken]
    assert [event async for event in stream] == []


async def test_stream_thrown_into_leaves_and_raises() -> None:
    stream, left = stream_of(Letter(b"a"))
    with pytest.raises(TimeoutError):
        await stream.athrow(TimeoutError())
    assert [type(error) for error in left] == [TimeoutError]
