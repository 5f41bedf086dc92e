import asyncio

from sidecar.downstream.turns import InTurn, Turn, Turns
from sidecar.ports import Headers, Outgoing, Reply


class Recorder:
    """An upstream that writes down what comes."""

    def __init__(self) -> None:
        self.tape: list[str] = []

    async def send(self, message: Outgoing) -> Reply:
        self.tape.append(message.raw.decode())
        await asyncio.sleep(0)
        return Reply(200, body=b"")

    async def listen(self, headers: Headers, session: str | None) -> Reply:
        self.tape.append(f"listen {session}")
        return Reply(200, body=b"")

    async def end(self, headers: Headers, session: str | None) -> Reply:
        self.tape.append(f"end {session}")
        return Reply(204, body=b"")

    async def close(self) -> None:
        self.tape.append("close")


async def forwarded(lines: list[tuple[str, bool, int]]) -> list[str]:
    """The order in which lines (name, is a request, steps of thought before it is forwarded) go upstream."""
    recorder, turns = Recorder(), Turns()
    upstream = InTurn(recorder)

    async def pass_on(name: str, steps: int, turn: Turn) -> None:
        await turn.come()
        for _ in range(steps):
            await asyncio.sleep(0)
        if steps < 50:
            await upstream.send(Outgoing(name.encode(), name, None))
        turn.release()

    await asyncio.gather(*(pass_on(name, steps, turns.take(shared=shared)) for name, shared, steps in lines))
    return recorder.tape


async def test_turns_quick_request_overtakes_a_slow_one() -> None:
    assert await forwarded([("slow", True, 9), ("quick", True, 0)]) == ["quick", "slow"]


async def test_turns_notification_overtakes_no_request_and_is_not_overtaken() -> None:
    lines = [("a", True, 9), ("b", True, 3), ("note", False, 5), ("c", True, 0), ("other", False, 0), ("d", True, 0)]
    assert await forwarded(lines) == ["b", "a", "note", "c", "other", "d"]


async def test_turns_line_that_is_never_forwarded_holds_nobody_for_ever() -> None:
    assert await forwarded([("denied", True, 60), ("note", False, 0), ("after", True, 0)]) == ["note", "after"]


async def test_turn_released_once_its_line_is_forwarded_though_no_answer_came() -> None:
    recorder, turns = Recorder(), Turns()
    turn = turns.take(shared=True)
    await turn.come()
    sending = InTurn(recorder).send(Outgoing(b"x", "x", 1))
    task = asyncio.create_task(sending)
    await asyncio.sleep(0)
    assert turn.is_released
    assert not task.done()
    await task


async def test_in_turn_passes_everything_else_on() -> None:
    recorder = Recorder()
    upstream = InTurn(recorder)
    await upstream.send(Outgoing(b"without a turn", "x", 1))
    assert (await upstream.listen((), "s")).status == 200
    assert (await upstream.end((), "s")).status == 204
    await upstream.close()
    assert recorder.tape == ["without a turn", "listen s", "end s", "close"]


async def test_turn_of_a_notification_lasts_until_it_has_arrived_where_each_message_takes_its_own_way() -> None:
    turns, recorder = Turns(), Recorder()
    upstream = InTurn(recorder, waits=True)
    released = []
    for outgoing in (Outgoing(b"note", "note", None), Outgoing(b"answer", None, 1), Outgoing(b"ask", "ask", 1)):
        turn = turns.take(shared=outgoing.method is not None and outgoing.id is not None)
        await turn.come()
        await upstream.send(outgoing)
        released.append(turn.is_released)
        turn.release()
    assert released == [False, False, True]
