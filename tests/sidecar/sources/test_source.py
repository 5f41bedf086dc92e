import pytest

from sidecar.sources.source import shown


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://h/b.tar.gz?X-Amz-Signature=secret", "https://h/b.tar.gz"),
        ("https://u:secret@h/b.tar.gz", "https://h/b.tar.gz"),
        ("file:///etc/b.tar.gz", "file:///etc/b.tar.gz"),
        ("oci://h/r@sha256:0b", "oci://h/r@sha256:0b"),
    ],
)
def test_shown_url_holds_no_secret(url: str, says: str) -> None:
    assert shown(url) == says
