"""TLS on the listener of a real gateway: renewed while it serves, and nothing said in the clear."""

import json
import socket
import ssl
import subprocess
import sys
import warnings
from pathlib import Path

import httpx
import pytest

from tests.authorization import RSA, jwk
from tests.certificates import Authority
from tests.faults.served import HEADERS, ROOT, Served, call, eventually, serving


def _shown(gateway: Served, authority: Authority) -> str:
    port = httpx.URL(gateway.url).port or 0
    trusting = ssl.create_default_context(cadata=authority.certificate.decode())
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        trusting.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        return dict(pair for (pair,) in secured.getpeercert()["subject"])["commonName"]


def _status(gateway: Served) -> dict[str, object]:
    command = [sys.executable, "-m", "sidecar", "status", "--format", "json", "--state", str(gateway.folder / "state")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    (document,) = json.loads(done.stdout)
    return document


def test_certificate_is_renewed_under_a_call_in_flight_and_a_wrong_one_is_not_taken(
    tmp_path: Path, opa_path: Path
) -> None:
    authority = Authority()
    cert, key = authority.pair("first").put(tmp_path / "tls")
    trusting = ssl.create_default_context(cadata=authority.certificate.decode())
    oauth = {"issuer": "https://login.example", "jwks_file": str(tmp_path / "jwks.json")}
    oauth |= {"rules": [{"server": "patient", "policy": "p"}]}
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [jwk(RSA[0], "one")]}))
    with (
        serving(tmp_path, opa_path, tls={"cert_file": str(cert), "key_file": str(key)}, oauth=oauth) as gateway,
        httpx.Client(headers=HEADERS, timeout=60, verify=trusting) as client,
    ):
        assert gateway.url.startswith("https://127.0.0.1:")
        assert f"  {gateway.base}/mcp/patient" in gateway.log
        assert "result" in client.post(gateway.url, json=call("quick")).json()
        described = client.get(f"{gateway.base}/.well-known/oauth-protected-resource/mcp").json()
        assert described["resource"] == f"{gateway.base}/mcp"
        challenge = httpx.post(gateway.url, json=call("quick"), verify=trusting)
        assert challenge.status_code == 401
        assert f'resource_metadata="{gateway.base}/.well-known/' in challenge.headers["www-authenticate"]

        with client.stream("POST", gateway.url, json=call("stream")) as under_way:
            second = authority.pair("second")
            cert.write_bytes(second.certificate)
            eventually(lambda: "The certificate before stays in use." in gateway.log)
            assert _shown(gateway, authority) == "first"
            assert "no certificate with its key" in _status(gateway)["tls"]["problem"]  # type: ignore[index]
            key.write_bytes(second.key)
            eventually(lambda: _shown(gateway, authority) == "second")
            assert _status(gateway)["tls"]["problem"] == ""  # type: ignore[index]
            gateway.release()
            assert '"done"' in under_way.read().decode()
        assert "result" in client.post(gateway.url, json=call("quick")).json()
        assert gateway.log.count("The certificate before stays in use.") == 1


def test_plain_http_to_a_tls_port_is_closed_and_reaches_nothing(tmp_path: Path, opa_path: Path) -> None:
    cert, key = Authority().pair().put(tmp_path / "tls")
    with serving(tmp_path, opa_path, tls={"cert_file": str(cert), "key_file": str(key)}) as gateway:
        before = gateway.log
        for _ in range(3):
            with pytest.raises(httpx.TransportError):
                httpx.post(gateway.url.replace("https:", "http:"), headers=HEADERS, json=call("quick"), timeout=20)
        with socket.create_connection(("127.0.0.1", httpx.URL(gateway.url).port or 0), 20) as raw:
            raw.settimeout(20)
            raw.sendall(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert b"HTTP" not in _all(raw)
        assert not any(line.startswith("tools/call") for line in gateway.reached())
        assert gateway.log == before


def test_old_versions_of_tls_are_not_spoken(tmp_path: Path, opa_path: Path) -> None:
    cert, key = Authority().pair().put(tmp_path / "tls")
    with serving(tmp_path, opa_path, tls={"cert_file": str(cert), "key_file": str(key)}) as gateway:
        port = httpx.URL(gateway.url).port or 0
        assert _spoken(port, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        with pytest.raises(ssl.SSLError):
            _spoken(port, ssl.TLSVersion.TLSv1_1)


def _spoken(port: int, newest: ssl.TLSVersion) -> str | None:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        client.minimum_version, client.maximum_version = ssl.TLSVersion.TLSv1, newest
    with socket.create_connection(("127.0.0.1", port), 20) as plain, client.wrap_socket(plain) as secured:
        return secured.version()


def test_client_without_a_certificate_of_the_authority_is_not_served(tmp_path: Path, opa_path: Path) -> None:
    authority, foreign = Authority(), Authority()
    cert, key = authority.pair().put(tmp_path / "tls")
    (tmp_path / "ca.crt").write_bytes(authority.certificate)
    tls = {"cert_file": str(cert), "key_file": str(key), "client_ca_file": str(tmp_path / "ca.crt")}
    with serving(tmp_path, opa_path, tls=tls) as gateway:
        for pair in (None, foreign.pair("client")):
            trusting = ssl.create_default_context(cadata=authority.certificate.decode())
            if pair is not None:
                trusting.load_cert_chain(*pair.put(tmp_path / "foreign"))
            with pytest.raises(httpx.TransportError):
                httpx.post(gateway.url, headers=HEADERS, json=call("quick"), verify=trusting, timeout=20)
        trusting.load_cert_chain(*authority.pair("client").put(tmp_path / "client"))
        assert "result" in httpx.post(gateway.url, headers=HEADERS, json=call("quick"), verify=trusting).json()


def _all(raw: socket.socket) -> bytes:
    found = b""
    try:
        while part := raw.recv(4096):
            found += part
    except ConnectionResetError:
        pass
    return found
