"""A certificate of our own making, with the authority that vouches for it. No clock, no files, no network.

The authority's key is forgotten at once: nobody can ever sign a second certificate with it. A renewal makes a new
authority, and names the one before beside it, for as long as others still show its certificate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = timedelta(days=90)
RENEWED = timedelta(days=30)
"""How long before its end a certificate is renewed."""

_SKEW = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Issued:
    """PEM: `authorities` (the newest first), the `certificate` of the newest, and its `key`."""

    authorities: bytes
    certificate: bytes
    key: bytes

    def is_due(self, names: Sequence[str], now: datetime) -> bool:
        """Is it time for the next one? It also is where the parts do not fit, or the names are others."""
        try:
            certificate = x509.load_pem_x509_certificate(self.certificate)
            authority = x509.load_pem_x509_certificates(self.authorities)[0]
            key = serialization.load_pem_private_key(self.key, None)
            certificate.verify_directly_issued_by(authority)
            held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            known = held.get_values_for_type(x509.DNSName)
        except (ValueError, TypeError, IndexError, InvalidSignature, x509.ExtensionNotFound):
            return True
        fits = key.public_key() == certificate.public_key() and list(known) == list(names)
        return not fits or now >= certificate.not_valid_after_utc - RENEWED


def issue(names: Sequence[str], now: datetime, before: Issued | None = None) -> Issued:
    """A certificate for these DNS names, from `now` on; the authority `before` it stays trusted."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    # A name of its own: of two authorities of one name, OpenSSL tries the first and gives up.
    authority_name = _name(f"regate injector {x509.random_serial_number():x}")
    authority = (
        _draft(authority_name, authority_name, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    subject = _name("regate injector")
    certificate = (
        _draft(subject, authority_name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return Issued(
        authorities=authority.public_bytes(pem) + _newest(before),
        certificate=certificate.public_bytes(pem),
        key=key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + LIFE)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _newest(before: Issued | None) -> bytes:
    if before is None:
        return b""
    try:
        authority = x509.load_pem_x509_certificates(before.authorities)[0]
    except (ValueError, IndexError):
        return b""
    return authority.public_bytes(serialization.Encoding.PEM)
