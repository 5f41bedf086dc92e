"""The known name that a mistyped one most likely means. Names only: what they are names of is not known here."""

from collections import Counter
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher

_ALIKE = 0.6
_MAX_CHARS = 80
_CANDIDATES = 8
_SEPARATORS = dict.fromkeys(map(ord, "_-. /:"))
MAX_STEPS = 5_000_000
"""Entries of the index to look at in all; a name asked for later gets no answer."""


class Nearest:
    """Finds names by the pairs of letters they share, so that a question does not cost a comparison with all."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)
        self._left = MAX_STEPS
        self._folded = [_fold(name) for name in self._names]
        self._exact = {folded: at for at, folded in reversed(list(enumerate(self._folded)))}
        self._holders: dict[str, list[int]] = {}
        for at, folded in enumerate(self._folded):
            for piece in set(_pieces(folded)):
                self._holders.setdefault(piece, []).append(at)

    def to(self, name: str) -> str | None:
        """The name that is most like `name`, or None when none is like it."""
        folded = _fold(name)
        if folded in self._exact:
            return self._names[self._exact[folded]]
        shared: Counter[int] = Counter()
        for piece in set(_pieces(folded)):
            holders = self._holders.get(piece, ())
            self._left -= len(holders)
            if self._left < 0:
                return None
            shared.update(holders)
        best, at = max(((self._alike(folded, at), -at) for at, _ in shared.most_common(_CANDIDATES)), default=(0.0, 0))
        return self._names[-at] if best >= _ALIKE else None

    def _alike(self, folded: str, at: int) -> float:
        return SequenceMatcher(None, folded, self._folded[at], autojunk=False).ratio()


def _fold(name: str) -> str:
    return name[:_MAX_CHARS].casefold().translate(_SEPARATORS)


def _pieces(folded: str) -> Iterator[str]:
    padded = f"\0{folded}\0"
    for at in range(len(padded) - 1):
        yield padded[at : at + 2]
