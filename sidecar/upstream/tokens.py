"""Where the gateway's own tokens come from: a file, a variable, a command, an authorization server. Keeps none.

No error holds what was read, printed or answered.
"""

import asyncio
import base64
import json
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote_plus

from sidecar.errors import SettingsError
from sidecar.fetch import NotFetched, fetch
from sidecar.upstream.credentials import Fresh

COMMAND_S = 10.0
TOKEN_BYTES = 64 * 1024
UNSTATED_S = 300.0
_LONGEST_S = 86_400.0
_MARGIN_S = 60.0
_ERRORS = frozenset(
    [
        *("invalid_request", "invalid_client", "invalid_grant", "invalid_scope", "invalid_target"),
        *("unauthorized_client", "unsupported_grant_type"),
    ]
)


async def from_variable(name: str, environ: Mapping[str, str] = os.environ) -> Fresh:
    """The token in an environment variable. Raises: SettingsError."""
    if not environ.get(name):
        raise SettingsError(f"environment variable {name} is unset or empty.")
    return Fresh(environ[name], _LONGEST_S)


async def from_file(path: Path, refresh_s: float) -> Fresh:
    """The token in a file, white space at its end dropped. Raises: SettingsError."""

    def read() -> bytes:
        with path.open("rb") as file:
            return file.read(TOKEN_BYTES + 1)

    try:
        data = await asyncio.to_thread(read)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {(error.strerror or 'failed').lower()}.") from None
    return Fresh(_text(data, str(path)), refresh_s)


async def from_command(command: Sequence[str], refresh_s: float, withhold: Collection[str]) -> Fresh:
    """What a command prints. It gets our environment but for the variables `withhold`. Raises: SettingsError."""
    environ = {name: value for name, value in os.environ.items() if name not in withhold}
    program = command[0]
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=environ, start_new_session=True
        )
    except OSError as error:
        raise SettingsError(f"{program} cannot be started: {(error.strerror or 'failed').lower()}.") from None
    try:
        async with asyncio.timeout(COMMAND_S):
            data = await _printed(process)
            code = await process.wait() if len(data) <= TOKEN_BYTES else 0
    except TimeoutError:
        raise SettingsError(f"{program} did not end within {COMMAND_S:g} s.") from None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if code != 0:
        raise SettingsError(f"{program} ended with exit code {code}.")
    return Fresh(_text(data, f"what {program} prints"), refresh_s)


async def _printed(process: Process) -> bytes:
    """All that it prints, or a byte more than is taken."""
    assert process.stdout is not None
    data = b""
    while len(data) <= TOKEN_BYTES and (part := await process.stdout.read(TOKEN_BYTES)):
        data += part
    return data


def _text(data: bytes, where: str) -> str:
    if len(data) > TOKEN_BYTES:
        raise SettingsError(f"{where} is longer than {TOKEN_BYTES} bytes.")
    try:
        text = data.decode("ascii").rstrip()
    except UnicodeDecodeError:
        raise SettingsError(f"{where} is not ASCII text.") from None
    if not text:
        raise SettingsError(f"{where} is empty.")
    return text


class ClientCredentials:
    """Tokens by the client credentials grant. `secret` is read anew each time. Source: RFC 6749, 4.4; RFC 8707."""

    def __init__(
        self,
        token_url: str,
        client_id: str,
        secret: Callable[[], str],
        *,
        scope: Sequence[str] = (),
        resource: str | None = None,
        in_form: bool = False,
    ) -> None:
        self._token_url = token_url
        self._client_id = client_id
        self._secret = secret
        self._in_form = in_form
        self._form = {"grant_type": "client_credentials"}
        if scope:
            self._form["scope"] = " ".join(scope)
        if resource is not None:
            self._form["resource"] = resource

    async def get(self) -> Fresh:
        """A new token. Raises: SidecarError."""
        secret = await asyncio.to_thread(self._secret)
        form, headers = self._form, {}
        if self._in_form:
            form = {**form, "client_id": self._client_id, "client_secret": secret}
        else:
            pair = f"{quote_plus(self._client_id)}:{quote_plus(secret)}"
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        try:
            status, body = await fetch(self._token_url, form=form, headers=headers)
        except NotFetched as error:
            raise SettingsError(f"{self._token_url}: {error}.") from None
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        return self._fresh(status, answer if isinstance(answer, dict) else {})

    def _fresh(self, status: int, answer: Mapping[str, object]) -> Fresh:
        token, good_s, kind = answer.get("access_token"), answer.get("expires_in", UNSTATED_S), answer.get("token_type")
        if status != 200:
            error = answer.get("error")
            told = f" ({error})" if isinstance(error, str) and error in _ERRORS else ""
            raise SettingsError(f"{self._token_url} answered with status {status}{told}.")
        if not isinstance(token, str) or not isinstance(kind, str) or kind.lower() != "bearer":
            raise SettingsError(f"{self._token_url} answered without a bearer token.")
        if not isinstance(good_s, int | float) or isinstance(good_s, bool) or not good_s > 0:
            good_s = UNSTATED_S
        good_s = min(float(good_s), _LONGEST_S)
        return Fresh(token, max(good_s - _MARGIN_S, good_s / 2), good_s)
