import pytest

from sidecar.errors import Broken, SettingsError
from sidecar.upstream.address import Address


def test_address_is_what_a_connection_and_a_head_need() -> None:
    address = Address.of("https://bücher.example:8443/mcp/x?tenant=1")
    assert (address.origin.port, address.origin.tls is None) == (8443, False)
    expected = b"GET /mcp/x?tenant=1 HTTP/1.1\r\nhost: xn--bcher-kva.example:8443\r\naccept-encoding: identity\r\n"
    assert address.head("GET") == expected


@pytest.mark.parametrize("url", ["ftp://host/", "http://", "http://host:port/", "http://u:p@host/", "http://[::1/"])
def test_address_of_anything_else_is_refused(url: str) -> None:
    with pytest.raises(SettingsError):
        Address.of(url)


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("/messages?session=1", "/messages?session=1"),
        ("messages", "/deep/messages"),
        ("?s=1", "/deep/sse?s=1"),
        ("http://host:80/other", "/other"),
        ("http://HOST", "/"),
    ],
)
def test_reference_leads_to_a_place_on_the_same_server(reference: str, target: str) -> None:
    assert Address.of("http://host/deep/sse").beside(reference).target == target


@pytest.mark.parametrize(
    "reference",
    [
        "http://elsewhere/messages",
        "//elsewhere/messages",
        "https://host/messages",
        "http://host:81/messages",
        "http://host:port/messages",
        "http://user@host/messages",
        "/mess ages",
        "/messäges",
        "http://[::1/",
    ],
)
def test_reference_to_another_server_or_to_nothing_is_refused(reference: str) -> None:
    with pytest.raises(Broken):
        Address.of("http://host/deep/sse").beside(reference)
