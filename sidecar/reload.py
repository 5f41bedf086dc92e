"""Policy files, read again whenever they change: translated together and published; the last good policies stay.

Nothing here knows OPA, or what publishing means. Files are polled: that works on every file system, for editors
that rename, and for a ConfigMap whose links are swapped.
"""

import asyncio
import os
import stat
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sidecar.errors import SettingsError, SidecarError
from translator import Bundle, PolicyRejected

_EVERY_S = 0.5
_FILE_BYTES = 16 * 1024 * 1024
_SETTLED_NS = 2_000_000_000

Contents = Mapping[str, bytes]
Translate = Callable[[Contents], Bundle]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as it was read. `settled`: a later write cannot have left the same time stamp."""

    mark: tuple[int, ...]
    settled: bool
    content: bytes


class PolicyReload:
    """Keeps what is published in step with the files that `files` names at the time (policy id → path)."""

    def __init__(
        self,
        files: Callable[[], Mapping[str, Path]],
        translate: Translate,
        publish: Callable[[Bundle], Awaitable[None]],
        on_loaded: Callable[[Bundle], None],
        on_error: Callable[[Exception], None],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._files = files
        self._translate = translate
        self._publish = publish
        self._on_loaded = on_loaded
        self._on_error = on_error
        self._now = now
        self._seen: dict[str, _Seen] = {}
        self._active: Contents | None = None
        self._bundle: Bundle | None = None
        self._rejected: Contents | None = None
        self._reported: tuple[object, ...] | None = None
        self.last_error: str | None = None
        self.loaded_at: datetime | None = None

    async def load(self) -> Bundle:
        """The bundle to start with, which the caller publishes. Raises: PolicyRejected, SettingsError (unreadable)."""
        contents = await asyncio.to_thread(self._read)
        bundle = await asyncio.to_thread(self._translate, contents)
        self._active, self._bundle = contents, bundle
        self.loaded_at = self._now()
        return bundle

    def in_force(self, policy: str) -> tuple[str, bytes] | None:
        """The revision of a policy that is in force, and its document. None: there is no such policy."""
        if self._active is None or self._bundle is None or policy not in self._active:
            return None
        return self._bundle.policies[policy].revision, self._active[policy]

    async def run(self) -> None:
        """Checks the files twice a second until it is cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.check_once()

    async def check_once(self) -> bool:
        """True when changed files were translated and published. What fails is told to `on_error`, once per content.

        A rejected content is not tried again until it changes; one that could not be published is.
        """
        try:
            contents = await asyncio.to_thread(self._read)
        except SettingsError as error:
            self._rejected = None
            self._report(error, str(error))
            return False
        if contents == self._active:
            self._recover()
            return False
        if contents == self._rejected:
            return False
        try:
            bundle = await asyncio.to_thread(self._translate, contents)
        except Exception as error:
            self._rejected = contents
            self._report(_tellable(error), contents)
            return False
        try:
            await self._publish(bundle)
        except Exception as error:
            self._report(_tellable(error), contents)
            return False
        self._active, self._bundle = contents, bundle
        self.loaded_at = self._now()
        self._forget()
        self._on_loaded(bundle)
        return True

    def _recover(self) -> None:
        """After an error, the files are again as they are in force: whoever was told of the error is told that."""
        if self.last_error is not None and self._bundle is not None:
            self._forget()
            self._on_loaded(self._bundle)

    def _forget(self) -> None:
        self._rejected = self._reported = self.last_error = None

    def _report(self, error: Exception, *about: object) -> None:
        self.last_error = str(error)
        if about != self._reported:
            self._reported = about
            self._on_error(error)

    def _read(self) -> Contents:
        problems = []
        files = self._files()
        for policy in self._seen.keys() - files.keys():
            del self._seen[policy]
        for policy, path in files.items():
            try:
                self._seen[policy] = _look(path, self._seen.get(policy))
            except (OSError, ValueError) as error:
                self._seen.pop(policy, None)
                reason = getattr(error, "strerror", None) or str(error)
                problems.append(f"{path} (policy {policy}) cannot be read: {reason}.")
        if problems:
            raise SettingsError(" ".join(problems), hint="Put the file back; until then the last good policies stay.")
        return {policy: self._seen[policy].content for policy in files}


def _look(path: Path, before: _Seen | None) -> _Seen:
    if before is not None and before.settled and before.mark == _mark(path.stat()):
        return before
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a regular file")
        settled = time.time_ns() - status.st_mtime_ns > _SETTLED_NS
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(_FILE_BYTES + 1)
    finally:
        os.close(handle)
    if len(content) > _FILE_BYTES:
        raise ValueError(f"larger than {_FILE_BYTES} bytes")
    return _Seen(_mark(status), settled, content)


def _mark(status: os.stat_result) -> tuple[int, ...]:
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev


def _tellable(error: Exception) -> Exception:
    """The error itself where its words are meant for people; otherwise only what kind it is."""
    if isinstance(error, (PolicyRejected, SidecarError)):
        return error
    if isinstance(error, OSError):
        return SidecarError(f"The new policies cannot be published: {error.strerror}.")
    return SidecarError(f"The new policies cannot be used: {type(error).__name__} inside the sidecar.")
