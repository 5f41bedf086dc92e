"""Puts a bundle where OPA watches, and knows when OPA holds it. Nothing here makes a bundle or reads a policy."""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from sidecar.errors import DecisionError
from sidecar.opa.process import BUNDLE, Ask, revisions

_ACTIVE_S = 10.0
_ASK_AGAIN_S = 0.05
_NUDGE_S = 2.0
_NAMED = 5


class Revised(Protocol):
    """A compiled policy, as far as this module looks at it."""

    @property
    def revision(self) -> str: ...


class Built(Protocol):
    """A bundle, as far as this module looks at it: `translator.Bundle` is one."""

    @property
    def data(self) -> bytes: ...

    @property
    def policies(self) -> Mapping[str, Revised]: ...


class Publisher:
    """The one writer of the bundle in an OPA's runtime directory; `ask` puts one question to that OPA."""

    def __init__(self, directory: Path, ask: Ask, *, active_s: float = _ACTIVE_S) -> None:
        self._path = directory / BUNDLE
        self._ask = ask
        self._active_s = active_s
        self._good: bytes | None = None
        self._turn = asyncio.Lock()

    def place(self, bundle: Built) -> None:
        """Writes the bundle that OPA shall start with; nobody is asked. Raises: DecisionError (cannot be written)."""
        self._write(bundle.data)
        self._good = bundle.data

    async def publish(self, bundle: Built) -> None:
        """Returns once OPA holds exactly this bundle's policies; else the last good bundle is put back.

        Raises: DecisionError (with what OPA holds, or why the bundle cannot be written).
        """
        async with self._turn:
            try:
                await self._activate(bundle)
            except BaseException:
                if self._good is not None:
                    with contextlib.suppress(DecisionError):
                        self._write(self._good)
                raise
            self._good = bundle.data

    async def held(self) -> dict[str, str]:
        """The policies that OPA holds, id → revision. Raises: DecisionError."""
        return await revisions(self._ask)

    async def _activate(self, bundle: Built) -> None:
        wanted = {policy: compiled.revision for policy, compiled in bundle.policies.items()}
        problem = "It was not asked in time."
        try:
            async with asyncio.timeout(self._active_s):
                while True:
                    self._write(bundle.data)
                    for _ in range(round(_NUDGE_S / _ASK_AGAIN_S)):
                        try:
                            held = await self.held()
                            if held == wanted:
                                return
                            problem = _difference(held, wanted)
                        except DecisionError as error:
                            problem = str(error)
                        await asyncio.sleep(_ASK_AGAIN_S)
        except TimeoutError as error:
            raise DecisionError(f"OPA did not take the new policies within {self._active_s:g} s. {problem}") from error

    def _write(self, data: bytes) -> None:
        """One rename, from outside the folder that OPA watches: it never sees half a bundle, and reloads once.

        No fsync: the runtime directory does not outlive this process, let alone a power cut.
        """
        scratch = self._path.parent.parent / ".bundle"
        try:
            scratch.write_bytes(data)
            scratch.replace(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)
            raise DecisionError(
                f"The bundle cannot be written to {self._path}: {error.strerror}.",
                hint="Make room in the temporary folder, or set TMPDIR to another.",
            ) from error


def _difference(held: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """What OPA holds of the policies that differ, in one line."""
    differing = sorted(policy for policy in held.keys() | wanted.keys() if held.get(policy) != wanted.get(policy))
    told = [f"{policy}: {held.get(policy, 'nothing')} for {wanted.get(policy, 'nothing')}" for policy in differing]
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    return f"It holds {', '.join(told[:_NAMED])}{more}."
