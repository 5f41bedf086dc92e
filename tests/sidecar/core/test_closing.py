"""Source: mcp-gateway.md G17."""

import json
from typing import Any

import pytest

from sidecar.core.closing import is_closed
from sidecar.core.messages import PassThrough


def message(method: str | None, params: Any = None) -> PassThrough:
    raw = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}).encode()
    return PassThrough(raw, 1, b"1", method, True)


@pytest.mark.parametrize("method", ["initialize", "ping", "server/discover", "tasks/result", "logging/setLevel", None])
def test_what_a_session_and_its_tools_need_is_open(method: str | None) -> None:
    assert not is_closed(message(method))


@pytest.mark.parametrize(
    "method",
    [
        *("resources/list", "resources/read", "resources/templates/list", "resources/subscribe", "prompts/list"),
        *("prompts/get", "completion/complete", "admin/run", "notifications/admin", "Initialize", "", "sampling/x"),
    ],
)
def test_resources_prompts_and_unknown_methods_are_closed(method: str) -> None:
    assert is_closed(message(method))


@pytest.mark.parametrize(
    ("wanted", "closed"),
    [
        ({"toolsListChanged": True}, False),
        ({"toolsListChanged": True, "promptsListChanged": False, "resourceSubscriptions": []}, False),
        ({}, False),
        (None, True),
        ({"promptsListChanged": True}, True),
        ({"toolsListChanged": True, "resourceSubscriptions": ["file:///x"]}, True),
        ({"unheardOf": 1}, True),
        ([1], True),
    ],
)
def test_subscription_is_open_to_changes_of_tools_alone(wanted: Any, closed: bool) -> None:
    assert is_closed(message("subscriptions/listen", {"notifications": wanted})) is closed


def test_subscription_without_a_filter_is_open() -> None:
    assert not is_closed(message("subscriptions/listen"))
