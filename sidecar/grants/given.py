"""Grants whose tokens the settings give, before those of the store. Nothing of them is kept."""

import hmac
from collections.abc import Mapping

from sidecar.grants import token as tokens
from sidecar.ports import Grant, Grants


class GivenGrants:
    """The port `Grants`: `given` maps the SHA-256 of a token to its grant; others are `stored`'s, or nobody's."""

    def __init__(self, given: Mapping[bytes, Grant], stored: Grants | None) -> None:
        self._given = dict(given)
        self._stored = stored

    def resolve(self, token: bytes) -> Grant | None:
        """The grant of a token, or None. Raises: StoreError."""
        if self._given:
            presented = tokens.digest(token)
            for digest, grant in self._given.items():
                if hmac.compare_digest(digest, presented):
                    return grant
        return None if self._stored is None else self._stored.resolve(token)

    def edition(self) -> int:
        """The stored grants': those given stay what they are. Raises: StoreError."""
        return 0 if self._stored is None else self._stored.edition()
