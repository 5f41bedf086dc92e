from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli import gateway


def test_stdio_asks_for_no_token_and_prints_nothing(
    regate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served: list[Any] = []
    monkeypatch.setattr(gateway, "serve_stdio", served.append)
    monkeypatch.setenv("REGATE_LISTEN_HOST", "0.0.0.0")
    (tmp_path / "policy.json").write_text("{}", encoding="utf-8")
    done = regate("stdio", "--policy", "policy.json", "--name", "git", "--env", "A=b", "--", "sh", "--policy")
    assert (done.code, done.out, done.err) == (0, "", "")
    (settings,) = served
    assert settings.servers["git"].command == ("sh", "--policy")
    assert settings.servers["git"].env == {"A": "b"}
    assert settings.grants["stdio-git"].policy == "policy"
    assert settings.auth is False
    assert settings.is_local
    assert not (tmp_path / "state").exists()


def test_stdio_before_a_url_needs_no_command(
    regate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served: list[Any] = []
    monkeypatch.setattr(gateway, "serve_stdio", served.append)
    (tmp_path / "policy.json").write_text("{}", encoding="utf-8")
    options = ("--upstream", "https://host/mcp", "--header", "Authorization: env:TOKEN")
    assert regate("stdio", "--policy", "policy.json", *options).code == 0
    (settings,) = served
    assert settings.servers["host"].url == "https://host/mcp"
    assert settings.servers["host"].headers["Authorization"].env == "TOKEN"


def test_stdio_needs_a_server(regate: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text("{}", encoding="utf-8")
    done = regate("stdio", "--policy", "policy.json")
    assert done.code == 2
    assert "name one server" in done.err
