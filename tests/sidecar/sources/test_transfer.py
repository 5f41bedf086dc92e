import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sidecar.errors import SettingsError
from sidecar.fetch import NotFetched
from sidecar.sources.transfer import Transfer
from tests import bundles

Make = Callable[[], Awaitable[Any]]


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} x", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture
async def transfer() -> AsyncIterator[Transfer]:
    made = Transfer()
    yield made
    await made.close()


async def test_get_gives_the_body_as_it_was_sent(web: Any, transfer: Transfer) -> None:
    """A server may call a .tar.gz gzip-encoded; it is the same bytes."""
    web.answers = lambda _: answer(200, b"\x1f\x8b", Content_Encoding="gzip", ETag='"1"')
    found = await transfer.get(f"{web.url}/b", {"accept": "x"}, authorization="Bearer t", limit_bytes=9, time_s=10)
    assert (found.status, found.body, found.headers["etag"]) == (200, b"\x1f\x8b", '"1"')
    assert web.asked[0].headers["authorization"] == "Bearer t"
    assert web.asked[0].headers["accept-encoding"] == "identity"


async def test_get_longer_than_the_bound_is_given_up(web: Any, transfer: Transfer) -> None:
    web.answers = lambda _: b"HTTP/1.1 200 x\r\n\r\n" + bytes(5_000_000)
    with pytest.raises(NotFetched, match="longer than 1000 bytes"):
        await transfer.get(web.url, {}, limit_bytes=1000, time_s=10)


async def test_get_slower_than_the_bound_is_given_up(web: Any, transfer: Transfer) -> None:
    async def never(_: Any) -> bytes:
        await asyncio.sleep(600)
        return b""

    web.answers = never
    with pytest.raises(NotFetched, match=r"no whole answer within 0\.2 s"):
        await transfer.get(web.url, {}, limit_bytes=1000, time_s=0.2)


async def test_get_from_where_nobody_listens_is_no_answer(transfer: Transfer, unused: int) -> None:
    with pytest.raises(NotFetched, match=r"^no answer: connection refused$"):
        await transfer.get(f"http://127.0.0.1:{unused}/?secret", {}, limit_bytes=1000, time_s=10)


@pytest.fixture
async def unused() -> int:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def test_redirect_to_another_origin_is_followed_without_the_credentials(
    web: Any, new_web: Make, transfer: Transfer
) -> None:
    other = await new_web()
    other.answers = lambda _: answer(200, b"there")
    web.answers = lambda asked: answer(307, Location="/again" if asked.target == "/" else f"{other.url}/blob")
    found = await transfer.get(f"{web.url}/", {}, authorization="Bearer t", limit_bytes=99, time_s=10)
    assert found.body == b"there"
    assert [asked.headers.get("authorization") for asked in web.asked] == ["Bearer t", "Bearer t"]
    assert "authorization" not in other.asked[0].headers


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("/", "one redirect after another"),
        ("", "to nowhere"),
        ("file:///etc/passwd", "to nowhere"),
    ],
)
async def test_redirect_that_leads_nowhere_is_given_up(web: Any, transfer: Transfer, location: str, says: str) -> None:
    web.answers = lambda _: answer(302, Location=location)
    with pytest.raises(NotFetched, match=says):
        await transfer.get(f"{web.url}/", {}, limit_bytes=99, time_s=10)


def test_transfer_without_certificates_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(SettingsError, match="holds no certificates"):
            Transfer(tmp_path / name)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 and its key, in one file that is also what to believe it by."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(bundles.private_pem(key) + made.public_bytes(Encoding.PEM))
    return path


async def test_tls_is_believed_by_the_ca_file_only_and_never_left(
    web: Any, transfer: Transfer, certificate: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(web.serve, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    believing = Transfer(certificate)
    web.answers = lambda _: answer(200, b"x")
    assert (await believing.get(url, {}, limit_bytes=9, time_s=10)).body == b"x"
    with pytest.raises(NotFetched, match=r"^no answer: self-signed certificate$"):
        await transfer.get(url, {}, limit_bytes=9, time_s=10)
    web.answers = lambda _: answer(302, Location=f"{web.url}/plain")
    with pytest.raises(NotFetched, match="a redirect to an address without TLS"):
        await believing.get(url, {}, limit_bytes=9, time_s=10)
    await believing.close()
    server.close()
