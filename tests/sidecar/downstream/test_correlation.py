import asyncio
from collections.abc import Iterator

import pytest

from sidecar.downstream.correlation import UNDER_WAY, fields
from sidecar.downstream.request import Head

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01".encode()


@pytest.fixture(autouse=True)
def _nobody() -> Iterator[None]:
    token = UNDER_WAY.set(None)
    yield
    UNDER_WAY.reset(token)


def head(**headers: list[bytes]) -> Head:
    made = Head("POST", "/mcp/git", dict((name.encode(), values) for name, values in headers.items()))
    made.server, made.grant = "git", "alice"
    return made


async def test_line_in_the_task_that_answers_names_whose_request_it_is() -> None:
    UNDER_WAY.set((asyncio.current_task(), head(traceparent=[PARENT])))
    assert fields() == {"server": "git", "grant": "alice", "trace_id": TRACE}


async def test_line_in_a_task_begun_by_it_is_not_about_the_request() -> None:
    async def keeping() -> dict[str, str]:
        return fields()

    UNDER_WAY.set((asyncio.current_task(), head()))
    assert await asyncio.create_task(keeping()) == {}


def test_line_outside_of_any_task_names_what_it_is_set_to() -> None:
    assert fields() == {}
    UNDER_WAY.set((None, Head("POST", "/", {})))
    assert fields() == {}
    UNDER_WAY.set((None, head()))
    assert fields() == {"server": "git", "grant": "alice"}


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
def test_trace_that_is_none_is_not_logged(given: list[bytes]) -> None:
    UNDER_WAY.set((None, head(traceparent=given)))
    assert "trace_id" not in fields()
