"""A call that ran cannot be made to look as if it had not: limits and approvals stay used up. Source: G23, G32, G37."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples import gateway
from tests.bypass.conftest import POLICY, Rogue, Scene, Seen, call, http, rpc, stream

LIMIT = 3


class Slow:
    """A server whose tools run, and which then answers with an error if it is told to stop, as the SDKs of 1.x do."""

    def __init__(self, rogue: Rogue) -> None:
        self.ran: list[str] = []
        self.started = threading.Semaphore(0)
        self.stopped = threading.Event()
        rogue.answers |= {"tools/call": self.run, "notifications/cancelled": self.stop, "DELETE": self.stop}

    def run(self, seen: Seen) -> bytes:
        self.ran.append(seen.message["params"]["name"])
        self.started.release()
        assert self.stopped.wait(10)
        return _error(seen)

    def stop(self, _seen: Seen) -> bytes:
        self.stopped.set()
        return http(b"", status="202 Accepted", kind=None)


def _error(seen: Seen) -> bytes:
    error = {"code": 0, "message": "Request cancelled"}
    message = {"jsonrpc": "2.0", "id": seen.message["id"], "error": error}
    return stream(b"data: " + json.dumps(message).encode() + b"\n\n")


def stop(scene: Scene, session: str, how: str) -> None:
    headers = {**scene.headers, "mcp-session-id": session}
    if how == "DELETE":
        scene.client.delete(scene.running.url, headers=headers)
    else:
        notice = {"jsonrpc": "2.0", "method": how, "params": {"requestId": 7}}
        scene.post(notice, mcp_session_id=session)


def stopped_call(scene: Scene, slow: Slow, session: str, tool: str, how: str) -> bool:
    """Whether a call that the client stops while it runs was let through."""
    slow.stopped.clear()
    answers: list[Any] = []
    calling = threading.Thread(
        target=lambda: answers.append(
            httpx.post(
                scene.running.url,
                json=call(tool, id=7),
                headers={**scene.headers, "mcp-session-id": session},
                timeout=20,
            )
        )
    )
    calling.start()
    let_through = slow.started.acquire(timeout=1)
    if let_through:
        stop(scene, session, how)
    calling.join()
    assert ("error" in answers[0].text) == let_through
    return let_through


@pytest.mark.parametrize("how", ["notifications/cancelled", "DELETE"])
def test_limit_and_stopped_calls_count(scene: Scene, how: str) -> None:
    slow = Slow(scene.rogue)
    session = scene.session()
    assert [stopped_call(scene, slow, session, "limited", how) for _ in range(LIMIT + 1)] == [True] * LIMIT + [False]
    assert slow.ran == ["limited"] * LIMIT


def test_approval_and_stopped_call_uses_it_up(scene: Scene) -> None:
    slow = Slow(scene.rogue)
    session = scene.session()
    asked = scene.call("risky", mcp_session_id=session).json()["result"]["_meta"]["dev.regate/decision"]
    scene.running.regate("approvals", "approve", asked["approval"])
    assert stopped_call(scene, slow, session, "risky", "notifications/cancelled")
    assert not stopped_call(scene, slow, session, "risky", "notifications/cancelled")
    assert slow.ran == ["risky"]


def test_limit_and_error_of_another_request_with_its_id_counts(scene: Scene) -> None:
    """A server that keeps one stream per id answers the request given up on the stream of the call."""
    session = scene.session()
    headers = {**scene.headers, "mcp-session-id": session}
    release = threading.Event()
    scene.rogue.answers |= {
        "resources/read": lambda _seen: [b"" for _ in range(1) if release.wait(10)],
        "tools/call": _error,
    }
    for _ in range(LIMIT + 1):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(scene.running.url, json=rpc("resources/read", {}, 7), headers=headers, timeout=0.2)
        last = scene.post(call("limited", id=7), mcp_session_id=session)
    release.set()
    assert scene.rogue.reached() == ["limited"] * LIMIT
    assert last.json()["result"]["isError"] is True


def test_limit_and_honest_error_is_given_back(scene: Scene) -> None:
    session = scene.session()
    scene.rogue.answers["tools/call"] = _error
    for number in range(LIMIT + 1):
        assert "error" in scene.post(call("limited", id=100 + number), mcp_session_id=session).text
    assert scene.rogue.reached() == ["limited"] * (LIMIT + 1)


def broken_off(scene: Scene) -> None:
    """A server whose calls answer on the stream that their client takes up again, each with an error."""
    ids: dict[str, int] = {}

    def begin(seen: Seen) -> bytes:
        place = f"e{len(ids)}"
        ids[place] = seen.message["id"]
        return stream(b"id: %b\nretry: 1\ndata: \n\n" % place.encode())

    def end(seen: Seen) -> bytes:
        place = seen.headers["last-event-id"]
        error = {"jsonrpc": "2.0", "id": ids[place], "error": {"code": -32602, "message": "no"}}
        return stream(b"id: %b-1\ndata: %b\n\n" % (place.encode(), json.dumps(error).encode()))

    scene.rogue.answers |= {"tools/call": begin, "GET": end}


def event_id(response: httpx.Response) -> str:
    return next(line.removeprefix("id: ") for line in response.text.splitlines() if line.startswith("id: "))


def test_limit_and_honest_error_on_the_stream_taken_up_again_is_given_back(scene: Scene) -> None:
    session = scene.session()
    broken_off(scene)
    for number in range(LIMIT + 1):
        begun = scene.post(call("limited", id=100 + number), mcp_session_id=session)
        assert "error" in scene.resume(event_id(begun), mcp_session_id=session).text
    assert scene.rogue.reached() == ["limited"] * (LIMIT + 1)


@pytest.mark.parametrize("trick", ["cancels first", "takes up an older call of that id", "calls again under that id"])
def test_limit_and_tricks_with_streams_taken_up_again_count(scene: Scene, trick: str) -> None:
    session = scene.session()
    broken_off(scene)
    first = scene.post(call("limited", id=7), mcp_session_id=session)
    assert "error" in scene.resume(event_id(first), mcp_session_id=session).text
    for _ in range(LIMIT + 1):
        begun = scene.post(call("limited", id=7), mcp_session_id=session)
        place = event_id(begun) if "id: " in begun.text else event_id(first)
        if trick == "cancels first":
            stop(scene, session, "notifications/cancelled")
        elif trick == "calls again under that id":
            scene.post(rpc("resources/read", {}, 7), mcp_session_id=session)
        else:
            place = event_id(first)
        scene.resume(place, mcp_session_id=session)
    assert scene.rogue.reached() == ["limited"] * (LIMIT + 1)


def test_limit_and_calls_at_once_let_no_more_through(scene: Scene) -> None:
    session = scene.session()
    headers = {**scene.headers, "mcp-session-id": session}

    def once(number: int) -> None:
        httpx.post(scene.running.url, json=call("limited", id=number), headers=headers, timeout=20)

    calling = [threading.Thread(target=once, args=(number,)) for number in range(10)]
    for thread in calling:
        thread.start()
    for thread in calling:
        thread.join()
    assert scene.rogue.reached() == ["limited"] * LIMIT
    scene.unharmed()


ASKS = {"jsonrpc": "2.0", "id": "s1", "method": "roots/list"}
SHOWS = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 7, "progress": 1}}


def event(message: Any) -> bytes:
    return b"data: " + json.dumps(message).encode() + b"\n\n"


@pytest.mark.parametrize("said", [ASKS, SHOWS], ids=["asks its client", "shows progress"])
def test_limit_and_error_of_a_call_that_has_said_something_before_counts(scene: Scene, said: Any) -> None:
    """It has begun to run. What it then waits for, its client may hold back until it fails."""
    session = scene.session()
    scene.rogue.answers["tools/call"] = lambda seen: _error(seen).replace(b"data: ", event(said) + b"data: ", 1)
    for number in range(LIMIT + 1):
        last = scene.post(call("limited", id=100 + number), mcp_session_id=session)
    assert scene.rogue.reached() == ["limited"] * LIMIT
    assert last.json()["result"]["isError"] is True


class Asking(list[bytes]):
    """A stream that asks its client for something each time a call runs; the call fails once its client has heard."""

    def __init__(self, rogue: Rogue) -> None:
        super().__init__()
        self.ran = threading.Semaphore(0)
        self.heard = threading.Semaphore(0)
        rogue.answers |= {"GET": lambda _seen: self, "tools/call": self.run}

    def run(self, seen: Seen) -> bytes:
        self.ran.release()
        assert self.heard.acquire(timeout=10)
        return _error(seen)

    def __iter__(self) -> Iterator[bytes]:
        yield stream()
        for _ in range(LIMIT):
            assert self.ran.acquire(timeout=10)
            yield event(ASKS)


def test_limit_and_error_of_a_call_while_which_the_server_asks_elsewhere_counts(scene: Scene) -> None:
    session = scene.session()
    asking = Asking(scene.rogue)
    headers = {**scene.headers, "mcp-session-id": session}

    def hear() -> None:
        with httpx.stream("GET", scene.running.url, headers=headers, timeout=20) as listening:
            for line in listening.iter_lines():
                if line.startswith("data: {"):
                    asking.heard.release()

    hearing = threading.Thread(target=hear)
    hearing.start()
    for number in range(LIMIT + 1):
        if number == LIMIT:
            hearing.join()
            asking.heard.release()
        last = scene.post(call("limited", id=100 + number), mcp_session_id=session)
    assert scene.rogue.reached() == ["limited"] * LIMIT
    assert last.json()["result"]["isError"] is True


def test_limit_and_call_stopped_by_another_gateway_on_the_same_state_counts(scene: Scene, tmp_path: Path) -> None:
    """Sessions are those of the state's key, so a client may go to either."""
    slow = Slow(scene.rogue)
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(POLICY))
    upstream = f"http://127.0.0.1:{scene.rogue.port}/mcp"
    options = ["--upstream", upstream, "--name", "up", "--state", str(scene.running.state)]
    with gateway.running(policy, options, tmp_path / "other") as running:
        other = Scene(running, scene.rogue, tmp_path / "other" / "gateway.log", scene.client)
        session = scene.session()
        headers = {**scene.headers, "mcp-session-id": session}
        for _ in range(LIMIT + 1):
            slow.stopped.clear()
            told: list[str] = []
            calling = threading.Thread(
                target=lambda told=told: told.append(_posted(scene, call("limited", id=7), headers))
            )
            calling.start()
            if slow.started.acquire(timeout=3):
                stop(other, session, "notifications/cancelled")
            calling.join()
        assert slow.ran == ["limited"] * LIMIT


def _posted(scene: Scene, message: Any, headers: dict[str, str]) -> str:
    return httpx.post(scene.running.url, json=message, headers=headers, timeout=20).text
