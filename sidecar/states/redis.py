"""Which sealed states were used, in Redis: each is good for one request, whichever gateway gets it."""

import secrets
from datetime import datetime
from importlib.resources import files
from typing import Any

from sidecar.redis import Redis, Script

SLACK_MS = 3_600_000
"""How much longer than it is valid a used state is known: clocks differ."""

USE = Script((files("sidecar.states") / "use.lua").read_text("utf-8"))


class RedisStates:
    """The port `States` over one Redis, shared by every gateway with the same `prefix`."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix

    async def use(self, nonce: bytes, expires_ms: int, now: datetime) -> bool:
        """True for exactly one caller. Raises: StoreError."""
        left_ms = max(expires_ms - int(now.timestamp() * 1000), 0)
        return bool(await self._run(nonce, "use", left_ms + SLACK_MS) == 1)

    async def give_back(self, nonce: bytes) -> None:
        """Makes a used one usable again. Raises: StoreError."""
        await self._run(nonce, "give_back")

    async def _run(self, nonce: bytes, *asked: str | int) -> Any:
        keys = [f"{self._prefix}state:{nonce.hex()}", f"{self._prefix}round:{secrets.token_hex(16)}"]
        return await self._redis.run(USE, keys, asked)
