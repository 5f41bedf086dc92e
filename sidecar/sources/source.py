"""Where bundles come from, as `following` sees it: one question, asked again and again. Verifies nothing."""

import re
from dataclasses import dataclass
from typing import Protocol

from sidecar.fetch import NotFetched

_CREDENTIALS = re.compile(r"//[^/]*@")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A bundle as it came. `mark` names this version of it to its source.

    `waits`: the source offers to answer the next question only when there is something new.
    """

    data: bytes
    mark: str
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The source still has what the mark names."""

    waits: bool = False


class Source(Protocol):
    """A place that has the newest bundle."""

    @property
    def every_s(self) -> float:
        """How often it is asked, where it does not wait."""
        ...

    async def fetch(self, mark: str, *, wait: bool) -> Fetched | Unchanged:
        """What it has now; `wait` lets it take its time until that is not what the mark names. Raises: NotFetched."""
        ...

    async def close(self) -> None:
        """Lets go of connections."""
        ...


def shown(url: str) -> str:
    """The URL without what could be a secret: credentials and query."""
    return _CREDENTIALS.sub("//", url.partition("?")[0])


__all__ = ["Fetched", "NotFetched", "Source", "Unchanged", "shown"]
