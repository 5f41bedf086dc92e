"""A little authorization server on a real socket: its keys, its tokens, and what it was asked."""

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

RSA = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
CLIENT = ("regate at work", "s3cret/+%:ä")
_ALGORITHMS = {"RS256": jwt.algorithms.RSAAlgorithm, "ES256": jwt.algorithms.ECAlgorithm}
_KINDS = {**_ALGORITHMS, "EdDSA": jwt.algorithms.OKPAlgorithm}


def jwk(key: Any, kid: str | None, algorithm: str = "RS256", **members: Any) -> dict[str, Any]:
    """The public half of a key."""
    made: dict[str, Any] = json.loads(_KINDS[algorithm].to_jwk(key.public_key()))
    made.pop("key_ops", None)
    return {**made, **({} if kid is None else {"kid": kid}), "use": "sig", **members}


class AuthorizationServer:
    """`keys` is what its JWKS holds; `status` what it answers with; `asked` the paths of all requests.

    Its JWKS is held back while `free` is not set. With `mints_jwt`, its tokens are made for the resource asked for.
    """

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [jwk(RSA[0], "one"), jwk(EC, "curve", "ES256")]
        self.status = 200
        self.expires_in: Any = 3600
        self.document: bytes | None = None
        self.asked: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.minted: list[str] = []
        self.url = ""
        self.fault = "invalid_client"
        self.mints_jwt = False
        self.free = Event()
        self.free.set()

    def metadata(self) -> dict[str, Any]:
        """What it says of itself. Source: RFC 8414."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": self.url + "/authorize",
            "token_endpoint": self.url + "/token",
            "response_types_supported": ["code"],
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    @property
    def issuer(self) -> str:
        return self.url + "/realm"

    def token(
        self,
        key: Any = RSA[0],
        kid: str | None = "one",
        algorithm: str = "RS256",
        *,
        typ: str = "at+jwt",
        **claims: Any,
    ) -> str:
        """A token of alice's, good for an hour; a claim that is None is left out."""
        now = int(time.time())
        whole = {"iss": self.issuer, "sub": "alice", "iat": now, "exp": now + 3600, **claims}
        header = {"typ": typ} if kid is None else {"kid": kid, "typ": typ}
        return jwt.encode({n: v for n, v in whole.items() if v is not None}, key, algorithm, headers=header)

    def jwks(self) -> bytes:
        return self.document if self.document is not None else json.dumps({"keys": self.keys}).encode()

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """What a request gets."""
        self.asked.append(path)
        authorization = headers.get("authorization", "")
        if self.status != 200:
            return self.status, json.dumps({"error": self.fault, "secret": CLIENT[1]}).encode()
        if path == "/jwks":
            self.free.wait(30)
            return 200, self.jwks()
        if path == "/.well-known/oauth-authorization-server/realm":
            return 200, json.dumps(self.metadata()).encode()
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self.forms.append(form)
        if authorization.startswith("Basic "):
            client, _, secret = base64.b64decode(authorization[6:]).decode().partition(":")
            known = (unquote_plus(client), unquote_plus(secret)) == CLIENT
        else:
            known = (form.get("client_id"), form.get("client_secret")) == CLIENT
        if not known or form.get("grant_type") != "client_credentials":
            return 401, b'{"error": "invalid_client"}'
        claims = {"aud": form.get("resource"), "scope": form.get("scope")}
        self.minted.append(self.token(**claims) if self.mints_jwt else f"minted-{len(self.minted)}-token")
        answer = {"access_token": self.minted[-1], "token_type": "bearer", "expires_in": self.expires_in}
        return 200, json.dumps(answer).encode()


class GuardedServer:
    """An MCP server that answers those who show `token` in `header`; `shown` is what each request showed."""

    def __init__(self) -> None:
        self.token = ""
        self.header = "authorization"
        self.shown: list[str | None] = []
        self.methods: list[str] = []
        self.url = ""

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """What a request gets."""
        self.shown.append(headers.get(self.header))
        if self.shown[-1] != self.token:
            return 401, b"who are you"
        message = json.loads(body)
        self.methods.append(message["method"])
        if "id" not in message:
            return 202, b""
        result: dict[str, Any] = {"content": [{"type": "text", "text": "done"}]}
        if message["method"] == "initialize":
            info = {"name": "guarded", "version": "1"}
            result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
        elif message["method"] == "tools/list":
            result = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in ("add", "drop")]}
        return 200, json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()


@contextmanager
def authorization_server() -> Iterator[AuthorizationServer]:
    """One that runs."""
    server = AuthorizationServer()
    with _served(server.answer) as server.url:
        yield server


@contextmanager
def guarded_server() -> Iterator[GuardedServer]:
    """One that runs."""
    server = GuardedServer()
    with _served(server.answer) as server.url:
        yield server


@contextmanager
def _served(answer: Callable[[str, Mapping[str, str], bytes], tuple[int, bytes]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            given = {name.lower(): value for name, value in self.headers.items()}
            status, text = answer(self.path, given, body)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            if status == 401:
                self.send_header("www-authenticate", 'Bearer resource_metadata="https://evil.example"')
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_DELETE = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()
