import os
from pathlib import Path

import pytest

from sidecar.errors import SettingsError
from sidecar.settings.values import Secret, is_loopback


def test_secret_written_out_is_read_and_not_shown() -> None:
    secret = Secret.model_validate("Bearer s3cret")
    assert secret.read() == "Bearer s3cret"
    assert "s3cret" not in repr(secret)


def test_secret_from_environment_and_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n", encoding="utf-8")
    assert Secret(env="UPSTREAM").read({"UPSTREAM": "from-env"}) == "from-env"
    assert Secret(file=file).read() == "from-file"


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        (Secret(env="UNSET"), "environment variable UNSET is unset or empty"),
        (Secret(env="EMPTY"), "environment variable EMPTY is unset or empty"),
        (Secret(env="LINES"), "holds a line break"),
        (Secret(env="UNICODE"), "outside Latin-1"),
        (Secret(file=Path("/nonexistent/token")), "cannot be read from /nonexistent/token: no such file or directory"),
        (Secret(file=Path(os.devnull)), "file /dev/null is unset or empty"),
    ],
)
def test_secret_that_cannot_be_had_says_where_it_should_be(secret: Secret, message: str) -> None:
    environ = {"EMPTY": "", "LINES": "a\nEvil: b", "UNICODE": "snow ☃"}
    with pytest.raises(SettingsError) as raised:
        secret.read(environ)
    assert message in str(raised.value)
    assert "Evil" not in str(raised.value)


def test_secret_in_a_file_that_is_no_text_says_so(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8 text"):
        Secret(file=file).read()


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
    ],
)
def test_is_loopback_by_address(host: str, local: bool) -> None:
    assert is_loopback(host) is local
