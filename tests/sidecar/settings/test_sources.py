from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sidecar.settings.sources import Bundle, Opa

KEYS = [{"file": "k.pem", "alg": "ES256"}]


def bundle(**given: Any) -> Bundle:
    return Bundle.model_validate({"url": "https://h/b.tar.gz", "keys": KEYS} | given)


def test_bundle_with_keys_is_verified_by_them() -> None:
    made = bundle(scope="write", token={"env": "TOKEN"}, library="signed", max_policy_age_s=60)
    assert made.keys[0].keyid == "default"
    assert made.every_s == 20


@pytest.mark.parametrize(
    ("url", "every_s"),
    [("file:///b.tar.gz", 1), ("https://h/b", 30), ("oci://h/r:1", 30), ("oci://h:5000/r@sha256:0", 30)],
)
def test_bundle_of_every_kind_of_url(url: str, every_s: float) -> None:
    assert bundle(url=url).every_s == every_s
    assert bundle(url=url, poll_s=5).every_s == 5


def test_bundle_is_asked_for_often_enough_not_to_grow_too_old() -> None:
    assert bundle(max_policy_age_s=30).every_s == 10
    assert bundle(max_policy_age_s=30).in_time(60) == 10
    assert bundle(max_policy_age_s=3600).in_time(60) == 60
    assert bundle(max_policy_age_s=0.001).every_s == 0.1


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"keys": []}, "must have keys, or else unsigned: true"),
    ({"unsigned": True}, "must have keys, or else unsigned: true"),
    ({"keys": [], "unsigned": True, "library": "signed"}, "library: signed needs keys"),
    ({"keys": [], "unsigned": True, "scope": "s"}, "scope needs keys"),
    ({"url": "http://h/b", "token": {"env": "T"}}, "sends no token over http://"),
    ({"url": "http://h/b", "keys": [], "unsigned": True}, "takes unsigned bundles over http:// from a loopback"),
    ({"url": "file:///b", "token": {"env": "T"}}, "for a file"),
    ({"username": "u"}, "username is for a registry"),
    ({"url": "oci://h/r", "username": "u"}, "username is for a registry, beside token"),
    ({"url": "oci://h/r", "token": {"env": "T"}}, "token is a registry's password, which needs username"),
    ({"url": "ftp://h/b"}, "must be a file://, https://, http:// or oci:// URL"),
    ({"url": "https:///b"}, "must be a file://"),
    ({"url": "https://h:99999/b"}, "must be a file://"),
    ({"url": "https://u:p@h/b"}, "neither credentials nor a fragment"),
    ({"url": "file://etc/b"}, "an absolute path"),
    ({"url": "oci://h"}, "must be oci://registry/repository:tag"),
    ({"url": "oci://h/r?x=1"}, "must be oci://registry/repository:tag"),
    ({"poll_s": 0}, "greater than or equal to 0.1"),
]


@pytest.mark.parametrize(("given", "says"), WRONG)
def test_bundle_settings_that_would_not_be_safe_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        bundle(**given)
    assert says in str(refused.value)


def test_bundle_http_is_for_signed_ones_or_this_machine() -> None:
    assert bundle(url="http://h/b").keys
    assert bundle(url="http://127.0.0.1/b", keys=[], unsigned=True, token={"env": "T"}).unsigned


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h",
        "http://h",
        "http://",
        "https://h/v1",
        "https://u@h",
        "https://h?x",
        "https://h:0",
        "https://h:x",
        "unix://opa.sock",
        "unix://h/opa.sock",
        f"unix:///{'x' * 107}",
    ],
)
def test_opa_url_that_is_not_safe_or_none_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Opa(url=url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8181/", "https://opa.example", "unix:///run/opa.sock"])
def test_opa_url(url: str) -> None:
    assert Opa(url=url, ca_file=Path("ca.pem")).url == url.rstrip("/")
