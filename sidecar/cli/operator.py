"""One question to a gateway that runs, with the operator's token. What the answer means belongs to the commands."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

_ANSWER_S = 5.0


def asked(url: str, token: str, path: str) -> dict[str, Any] | None:
    """The JSON object at a path of the gateway at `url`, or None: it does not answer, or not with one."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_ANSWER_S)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        body = answer.read()
        document = json.loads(body) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return document if isinstance(document, dict) else None
