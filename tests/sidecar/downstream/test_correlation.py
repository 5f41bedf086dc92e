import asyncio

import pytest

from sidecar.downstream.correlation import about, fields
from sidecar.downstream.request import Head

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01".encode()


def head(**headers: list[bytes]) -> Head:
    made = Head("POST", "/mcp/git", dict((name.encode(), values) for name, values in headers.items()))
    made.server, made.grant = "git", "alice"
    return made


async def test_line_in_the_task_that_answers_names_whose_request_it_is() -> None:
    with about(head(traceparent=[PARENT])):
        assert fields() == {"server": "git", "grant": "alice", "trace_id": TRACE}
    assert fields() == {}


async def test_line_in_a_task_begun_by_it_is_not_about_the_request() -> None:
    async def keeping() -> dict[str, str]:
        return fields()

    with about(head()):
        assert await asyncio.create_task(keeping()) == {}


async def test_line_in_a_thread_is_about_no_request() -> None:
    with about(head()):
        assert await asyncio.to_thread(fields) == {}


async def test_line_outside_of_any_task_names_what_it_is_about() -> None:
    seen: list[dict[str, str]] = []

    def refusing() -> None:
        with about(Head("POST", "/", {})):
            seen.append(fields())
        with about(head()):
            seen.append(fields())
        seen.append(fields())

    asyncio.get_running_loop().call_soon(refusing)
    await asyncio.sleep(0)
    assert seen == [{}, {"server": "git", "grant": "alice"}, {}]


async def test_line_about_another_request_meanwhile_leaves_the_first_as_it_was() -> None:
    with about(head(traceparent=[PARENT])):
        with about(head()):
            assert "trace_id" not in fields()
        assert fields()["trace_id"] == TRACE


@pytest.mark.parametrize(
    "given",
    [
        [b""],
        [b"secret"],
        [PARENT, PARENT],
        [PARENT + b"\n"],
        [b"ff" + PARENT[2:]],
        [b"00-" + b"0" * 32 + PARENT[35:]],
        [PARENT[:36] + b"0" * 16 + b"-01"],
        [PARENT.upper()],
    ],
)
async def test_trace_that_is_none_is_not_logged(given: list[bytes]) -> None:
    with about(head(traceparent=given)):
        assert "trace_id" not in fields()
