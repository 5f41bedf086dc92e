from pathlib import Path

import pytest
from pydantic import ValidationError

from sidecar.errors import SettingsError
from sidecar.settings.model import Server, Settings, default_state

TOKEN = "0123456789abcdef0123"


def test_settings_defaults_are_local_and_ask_for_tokens() -> None:
    settings = Settings(servers={"a": Server(url="http://h/mcp")})
    assert (settings.listen_host, settings.listen_port, settings.auth) == ("127.0.0.1", 8700, True)
    assert settings.body_limit_bytes == 4 * 1024 * 1024
    assert settings.opa.timeout_s == 2
    assert settings.is_local


def test_settings_are_frozen() -> None:
    settings = Settings(servers={"a": Server(url="http://h/mcp")})
    with pytest.raises(ValidationError):
        settings.auth = False  # type: ignore[misc]


def test_hosts_are_the_loopback_names_the_listen_host_and_those_allowed() -> None:
    settings = Settings(servers={"a": Server(url="http://h")}, listen_host="10.0.0.1", allowed_hosts=("Gate.Example",))
    assert settings.hosts == {"localhost", "127.0.0.1", "::1", "10.0.0.1", "gate.example"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_STATE_HOME": "/x/state"}, "/x/state/regate"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/u"}, "/home/u/.local/state/regate"),
        ({"XDG_STATE_HOME": "", "HOME": "/home/u"}, "/home/u/.local/state/regate"),
    ],
)
def test_default_state_follows_xdg(environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert default_state() == Path(expected)


def test_default_state_without_a_home_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def expanduser(path: Path) -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", expanduser)
    with pytest.raises(SettingsError, match="no home folder"):
        default_state()


@pytest.mark.parametrize("address", ["0.0.0.0:8701", "[::]:0", "localhost:9"])
def test_admin_listen_is_an_address(address: str) -> None:
    assert Settings(servers={"a": Server(url="http://h")}, admin_listen=address).admin_listen == address


@pytest.mark.parametrize("address", ["8701", ":8701", "::1:8701", "h:x", "h:70000", ""])
def test_admin_listen_that_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="admin_listen"):
        Settings(servers={"a": Server(url="http://h")}, admin_listen=address)
