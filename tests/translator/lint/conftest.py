"""What the tests of lints share: a policy's members in, its findings out."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from translator import inventory
from translator.lint.review import review

Told = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def told() -> Told:
    """Gives code and pointer of each finding about a policy, in order. `tools` of the server: name → input schema."""

    def of(
        policy: dict[str, Any], *, server: dict[str, Any] | None = None, approval_map: Sequence[str] = ()
    ) -> list[tuple[str, str]]:
        text = json.dumps({"version": "1", "default": "deny", **policy}).encode()
        tools = [{"name": name, "inputSchema": schema} for name, schema in (server or {}).items()]
        known = None if server is None else inventory.read(json.dumps(tools).encode())
        found = review(text, inventory=known, approval_map=approval_map).findings
        return [(each.code, each.pointer) for each in found]

    return of
