from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import OpaMissing
from sidecar.opa import binary


def test_opa_prints_its_path_alone_on_stdout(regate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def ensure(say: Callable[[str], None]) -> Path:
        say("Getting OPA\x1b")
        return Path("/cache/opa")

    monkeypatch.setattr(binary, "ensure", ensure)
    done = regate("opa")
    assert (done.code, done.out, done.err) == (0, "/cache/opa\n", "Getting OPA\\u001b\n")


def test_opa_that_cannot_be_had_is_told(regate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def ensure(say: Callable[[str], None]) -> Path:
        raise OpaMissing("No OPA.", hint="Install it.")

    monkeypatch.setattr(binary, "ensure", ensure)
    done = regate("opa")
    assert (done.code, done.out, done.err) == (1, "", "regate: No OPA.\n  Install it.\n")
