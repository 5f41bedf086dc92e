"""One question to a gateway that runs, with the operator's token. What the answer means belongs to the commands."""

import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

_ANSWER_S = 5.0


def asked(url: str, token: str, path: str) -> dict[str, Any] | None:
    """The JSON object at a path of the gateway at `url`, or None: it does not answer, or not with one."""
    parts = urlsplit(url)
    connection = _connection(parts.scheme, parts.hostname or "", parts.port)
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


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    """Over TLS, whatever certificate is shown: it is made for the name that clients use, and not for this address.

    The address is of a gateway on this machine, from a private file that it wrote itself.
    """
    if scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=_ANSWER_S)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=_ANSWER_S, context=context)
