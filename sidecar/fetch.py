"""One small document over HTTPS, off the call path: keys, tokens. No redirects, no proxies; bounded in size and time.

Errors say what happened, and never what was sent or received.
"""

import asyncio
import os
import ssl
from collections.abc import Mapping
from functools import cache

from sidecar.errors import SidecarError

ANSWER_S = 5.0
LIMIT_BYTES = 1024 * 1024


class NotFetched(SidecarError):
    """There was no whole answer."""

    code = "not_fetched"


async def fetch(
    url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """The status and body of a GET, or of a POST of a form. Raises: NotFetched."""
    import httpx  # a quarter of a second that most starts do not need

    sent = {"accept": "application/json", "accept-encoding": "identity", **(headers or {})}
    body = b""
    try:
        async with (
            asyncio.timeout(ANSWER_S),
            httpx.AsyncClient(trust_env=False, follow_redirects=False, verify=_trust(), timeout=ANSWER_S) as client,
            client.stream("GET" if form is None else "POST", url, data=form, headers=sent) as response,
        ):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > LIMIT_BYTES:
                    raise NotFetched(f"the answer is longer than {LIMIT_BYTES} bytes")
            return response.status_code, body
    except (TimeoutError, httpx.TimeoutException):
        raise NotFetched(f"no answer within {ANSWER_S:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise NotFetched(f"no answer: {reason(error)}") from None


def reason(error: Exception) -> str:
    """Why nothing was heard, in the words of the system or of OpenSSL where they had any; never what was sent."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError) and (told := getattr(seen, "verify_message", "") or seen.reason):
            return str(told).replace("_", " ").lower()
        if isinstance(seen, OSError) and seen.errno is not None:
            own = os.strerror(seen.errno) if seen.errno > 0 else seen.strerror
            return str(own).lower()
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()
