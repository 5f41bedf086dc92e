"""A certificate of our own making is one that TLS clients take, until it is time for the next."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.injector.issue import LIFE, RENEWED, Issued, issue

NAMES = ["injector.regate.svc", "injector.regate.svc.cluster.local"]
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def issued() -> Issued:
    return issue(NAMES, NOW)


def shaken(folder: Path, shown: Issued, trusted: bytes, name: str) -> None:
    """Shakes hands over a socket as the API server would. Raises: ssl.SSLError."""
    (folder / "tls.crt").write_bytes(shown.certificate)
    (folder / "tls.key").write_bytes(shown.key)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    asking = ssl.create_default_context(cadata=trusted.decode())
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            serving.wrap_socket(theirs, server_side=True).close()
        except (ssl.SSLError, OSError):
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        asking.wrap_socket(ours, server_hostname=name).close()
    finally:
        ours.close()
        thread.join()


@pytest.mark.parametrize("name", NAMES)
def test_issue_is_trusted_by_its_authority_under_each_name(tmp_path: Path, issued: Issued, name: str) -> None:
    shaken(tmp_path, issued, issued.authorities, name)


def test_issue_is_not_trusted_under_another_name(tmp_path: Path, issued: Issued) -> None:
    with pytest.raises(ssl.SSLError):
        shaken(tmp_path, issued, issued.authorities, "other.regate.svc")


def test_issue_again_is_trusted_beside_the_one_before_and_no_third(tmp_path: Path, issued: Issued) -> None:
    second = issue(NAMES, NOW, issued)
    third = issue(NAMES, NOW, second)
    shaken(tmp_path, issued, second.authorities, NAMES[0])
    shaken(tmp_path, second, third.authorities, NAMES[0])
    assert third.authorities.count(b"BEGIN CERTIFICATE") == 2
    with pytest.raises(ssl.SSLError):
        shaken(tmp_path, issued, third.authorities, NAMES[0])


def test_issue_after_something_unreadable_begins_anew() -> None:
    assert issue(NAMES, NOW, Issued(b"x", b"x", b"x")).authorities.count(b"BEGIN CERTIFICATE") == 1


def test_is_due_a_month_before_the_end(issued: Issued) -> None:
    second = timedelta(seconds=1)
    until = NOW.replace(microsecond=0) + LIFE - RENEWED
    assert not issued.is_due(NAMES, until - second)
    assert issued.is_due(NAMES, until)


def test_is_due_where_parts_or_names_do_not_fit(issued: Issued) -> None:
    other = issue(NAMES, NOW)
    assert issued.is_due(["else"], NOW)
    assert Issued(issued.authorities, other.certificate, other.key).is_due(NAMES, NOW)
    assert Issued(issued.authorities, issued.certificate, other.key).is_due(NAMES, NOW)
    for broken in (
        Issued(b"", issued.certificate, issued.key),
        Issued(issued.authorities, b"x", issued.key),
        Issued(issued.authorities, issued.certificate, b"x"),
    ):
        assert broken.is_due(NAMES, NOW)
