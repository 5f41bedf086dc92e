"""One small document over HTTPS, off the call path: keys, tokens. No redirects, no proxies; bounded in size and time.

Errors say what happened, and never what was sent or received.
"""

import asyncio
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
        raise NotFetched(f"no answer ({type(error).__name__})") from None


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()
