import os
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.downstream.certificates import Certificates
from sidecar.errors import SettingsError, SidecarError
from tests.certificates import Authority, Pair


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def shown(context: ssl.SSLContext, authority: Authority) -> str:
    """The common name in the certificate that a client of this context sees and verifies."""
    client = ssl.create_default_context(cadata=authority.certificate.decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    served = context.wrap_bio(to_server, to_client, server_side=True)
    asking = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    for _ in range(3):
        for side in (asking, served):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    found = asking.getpeercert()
    assert found is not None
    return dict(pair for (pair,) in found["subject"])["commonName"]  # type: ignore[misc]


class Mounted:
    """A Secret as Kubernetes mounts it: a link to a folder, which is swapped for another."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def put(self, pair: Pair) -> None:
        self.count += 1
        pair.put(self.folder / f"..{self.count}")
        link = self.folder / "..new"
        link.symlink_to(f"..{self.count}")
        link.replace(self.folder / "..data")
        for name in ("tls.crt", "tls.key"):
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")

    def certificates(self, warned: list[SidecarError]) -> Certificates:
        return Certificates(self.folder / "tls.crt", self.folder / "tls.key", None, warned.append)


def test_certificate_follows_a_link_that_is_swapped(tmp_path: Path, authority: Authority) -> None:
    mounted, warned = Mounted(tmp_path), list[SidecarError]()
    mounted.put(authority.pair("first"))
    certificates = mounted.certificates(warned)
    assert not certificates.renew()
    assert shown(certificates.context, authority) == "first"
    mounted.put(authority.pair("second", days=9))
    assert certificates.renew()
    assert shown(certificates.context, authority) == "second"
    assert certificates.expires_at > datetime.now(UTC) + timedelta(days=8)
    assert not certificates.renew()
    assert warned == []


def test_pair_that_is_written_half_keeps_the_last_good_one_and_is_told_once(
    tmp_path: Path, authority: Authority
) -> None:
    warned = list[SidecarError]()
    cert, key = authority.pair("first").put(tmp_path)
    certificates = Certificates(cert, key, None, warned.append)
    second = authority.pair("second")
    cert.write_bytes(second.certificate)
    assert not certificates.renew()
    os.utime(cert, ns=(1, 1))
    assert not certificates.renew()
    assert shown(certificates.context, authority) == "first"
    assert len(warned) == 1
    assert str(warned[0]) == f"{certificates.problem} The certificate before stays in use."
    assert certificates.problem == f"tls: {cert} and {key} are no certificate with its key: key values mismatch."
    key.write_bytes(second.key)
    assert certificates.renew()
    assert certificates.problem == ""
    assert shown(certificates.context, authority) == "second"


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nMIIB", b"\xff\0"])
def test_certificate_file_spoiled_or_gone_keeps_the_last_good_one(
    content: bytes | None, tmp_path: Path, authority: Authority
) -> None:
    warned = list[SidecarError]()
    cert, key = authority.pair("first").put(tmp_path)
    certificates = Certificates(cert, key, None, warned.append)
    good = cert.read_bytes()
    if content is None:
        cert.unlink()
    else:
        cert.write_bytes(content)
    assert not certificates.renew()
    assert len(warned) == 1
    assert shown(certificates.context, authority) == "first"
    cert.write_bytes(good)
    assert certificates.renew()


def test_files_that_are_no_pair_are_told_at_the_start(tmp_path: Path, authority: Authority) -> None:
    cert, key = authority.pair().put(tmp_path)
    with pytest.raises(SettingsError, match=r"no\.pem cannot be read: no such file"):
        Certificates(tmp_path / "no.pem", key, None, list[SidecarError]().append)
    with pytest.raises(SettingsError, match="are no certificate with its key"):
        Certificates(key, cert, None, list[SidecarError]().append)
    with pytest.raises(SettingsError, match="holds no certificate authority"):
        Certificates(cert, key, key, list[SidecarError]().append)


def test_key_with_a_password_is_told_and_nobody_is_asked(tmp_path: Path, authority: Authority) -> None:
    cert, key = authority.pair(password=b"open sesame").put(tmp_path)
    with pytest.raises(SettingsError, match="the key asks for a password"):
        Certificates(cert, key, None, list[SidecarError]().append)


def test_context_speaks_no_version_below_1_2(tmp_path: Path, authority: Authority) -> None:
    certificates = Certificates(*authority.pair().put(tmp_path), None, list[SidecarError]().append)
    assert certificates.context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert certificates.context.verify_mode == ssl.CERT_NONE


def test_context_with_authorities_asks_for_a_client_certificate(tmp_path: Path, authority: Authority) -> None:
    authorities = tmp_path / "ca.crt"
    authorities.write_bytes(authority.certificate)
    certificates = Certificates(*authority.pair().put(tmp_path), authorities, list[SidecarError]().append)
    assert certificates.context.verify_mode == ssl.CERT_REQUIRED


def test_certificate_that_has_expired_is_told_once_at_the_start_and_once_when_it_happens(
    tmp_path: Path, authority: Authority
) -> None:
    warned = list[SidecarError]()
    cert, key = authority.pair("old", days=-1).put(tmp_path)
    certificates = Certificates(cert, key, None, warned.append)
    assert not certificates.renew()
    (told,) = warned
    assert str(told).startswith(f"tls: the certificate in {cert} expired at ")
    authority.pair("new").put(tmp_path)
    assert certificates.renew()
    assert len(warned) == 1
    certificates.expires_at = datetime.now(UTC)
    assert not certificates.renew()
    assert not certificates.renew()
    assert len(warned) == 2


def test_file_that_is_no_certificate_is_told_in_words(tmp_path: Path, authority: Authority) -> None:
    cert, key = authority.pair().put(tmp_path)
    cert.write_bytes(b"{}")
    with pytest.raises(SettingsError, match="are no certificate with its key: not PEM, or damaged"):
        Certificates(cert, key, None, list[SidecarError]().append)
