"""Real files, commands and an authorization server on a socket. Source: RFC 6749 section 4.4."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import SettingsError
from sidecar.upstream import tokens
from sidecar.upstream.credentials import Fresh
from sidecar.upstream.tokens import TOKEN_BYTES, ClientCredentials, from_command, from_file, from_variable
from tests.authorization import CLIENT, AuthorizationServer, authorization_server


@pytest.fixture
def login() -> Iterator[AuthorizationServer]:
    with authorization_server() as server:
        yield server


def client(login: AuthorizationServer, secret: str = CLIENT[1], **options: Any) -> ClientCredentials:
    return ClientCredentials(login.url + "/token", CLIENT[0], lambda: secret, **options)


def python(text: str) -> list[str]:
    return [sys.executable, "-S", "-c", text]


async def test_variable_is_read() -> None:
    assert (await from_variable("T", {"T": "x"})).token == "x"
    with pytest.raises(SettingsError, match="environment variable T is unset or empty"):
        await from_variable("T", {})


async def test_file_is_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n", encoding="ascii")
    assert await from_file(file, 7) == Fresh("one", 7)
    file.write_text("two", encoding="ascii")
    assert (await from_file(file, 7)).token == "two"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        ("ü".encode(), "is not ASCII"),
        (b"x" * (TOKEN_BYTES + 1), "longer than"),
    ],
)
async def test_file_that_holds_no_token_is_told(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(data)
    with pytest.raises(SettingsError, match=message):
        await from_file(file, 7)
    with pytest.raises(SettingsError, match="cannot be read: no such file"):
        await from_file(tmp_path / "none", 7)


async def test_command_prints_the_token_without_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "hidden")
    monkeypatch.setenv("THEIRS", "kept")
    command = python("import os; print(os.environ.get('OURS'), os.environ['THEIRS'])")
    assert await from_command(command, 9, {"OURS"}) == Fresh("None kept", 9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys; print('s3cret'); print('s3cret', file=sys.stderr); sys.exit(3)", "ended with exit code 3"),
        ("pass", "is empty"),
        ("print('s3cret' * 100_000)", "longer than"),
        ("while True: print('s3cret' * 1000)", "longer than"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "exit code -9"),
    ],
)
async def test_command_that_gives_no_token_is_told_without_its_output(
    text: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingsError, match=message) as failed:
        await from_command(python(text), 9, ())
    assert "s3cret" not in str(failed.value)
    assert capfd.readouterr() == ("", "")


async def test_command_that_is_not_there_is_told() -> None:
    with pytest.raises(SettingsError, match="cannot be started"):
        await from_command(["/nonexistent/command"], 9, ())


async def test_command_that_does_not_end_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "COMMAND_S", 1.0)
    pids = tmp_path / "pids"
    text = f"""
import os, time
child = os.fork()
open({str(pids)!r}, "a").write(str(os.getpid()) + "\\n")
time.sleep(60)
"""
    begun = time.monotonic()
    with pytest.raises(SettingsError, match="did not end within 1 s"):
        await from_command(python(text), 9, ())
    assert time.monotonic() - begun < 10
    for pid in map(int, pids.read_text(encoding="ascii").split()):
        end = time.monotonic() + 5
        while _runs(pid):
            assert time.monotonic() < end


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.parametrize("in_form", [False, True])
async def test_client_credentials_give_a_token_to_be_renewed_before_its_end(
    login: AuthorizationServer, in_form: bool
) -> None:
    source = client(login, scope=["a", "b"], resource="https://server.example/mcp", in_form=in_form)
    assert await source.get() == Fresh("minted-0-token", 3540, 3600)
    assert await source.get() == Fresh("minted-1-token", 3540, 3600)
    form = login.forms[0]
    assert form.pop("client_secret", CLIENT[1] if not in_form else "") == CLIENT[1]
    form.pop("client_id", None)
    assert form == {"grant_type": "client_credentials", "scope": "a b", "resource": "https://server.example/mcp"}


@pytest.mark.parametrize(
    ("stated", "renew_s", "good_s"),
    [(10, 5, 10), (10**9, 86_340, 86_400), (None, 240, 300), ("soon", 240, 300), (-1, 240, 300), (True, 240, 300)],
)
async def test_client_credentials_odd_lifetimes_are_bounded(
    login: AuthorizationServer, stated: Any, renew_s: float, good_s: float
) -> None:
    login.expires_in = stated
    fresh = await client(login).get()
    assert (fresh.renew_s, fresh.good_s) == (renew_s, good_s)


async def test_client_credentials_that_are_refused_are_told_without_them(login: AuthorizationServer) -> None:
    with pytest.raises(SettingsError, match=r"/token answered with status 401 \(invalid_client\)") as failed:
        await client(login, "wrong-s3cret").get()
    assert "s3cret" not in str(failed.value)
    login.status, login.fault = 500, "s3cret"
    with pytest.raises(SettingsError, match="status 500") as failed:
        await client(login).get()
    assert "s3cret" not in str(failed.value)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"access_token": "s3cret"},
        {"access_token": "s3cret", "token_type": "mac"},
        {"access_token": 5, "token_type": "Bearer"},
        [],
        "s3cret",
    ],
)
async def test_client_credentials_answer_without_a_bearer_token_is_told(
    login: AuthorizationServer, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.authorization.json.dumps", lambda _: __import__("msgspec").json.encode(answer).decode())
    with pytest.raises(SettingsError, match="without a bearer token") as failed:
        await client(login).get()
    assert "s3cret" not in str(failed.value)


async def test_client_credentials_without_a_server_are_told() -> None:
    source = ClientCredentials("http://127.0.0.1:1/token", "id", lambda: "s3cret")
    with pytest.raises(SettingsError, match="/token: no answer") as failed:
        await source.get()
    assert "s3cret" not in str(failed.value)
