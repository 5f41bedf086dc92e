"""What several gateways share, and what they cannot: each thing that is one gateway's own is told in a line."""

from typing import Any

import pytest
from pydantic import ValidationError

from sidecar.errors import SettingsError
from sidecar.settings.shared import Redis, key, unshared
from sidecar.settings.values import Secret

KEY = "0123456789abcdef0123456789abcdef"
SHARED: dict[str, Any] = {
    "replicas": "several",
    "redis": {"url": "redis://r"},
    "session_key": KEY,
    "servers": {"web": {"url": "https://h", "transport": "http"}},
}


def told(**changes: Any) -> list[str]:
    return [f"{'.'.join(map(str, one.way))}: {one.message}" for one in unshared({**SHARED, **changes})]


@pytest.mark.parametrize(
    "url", ["redis://r:6379", "rediss://[::1]:6380/2", "unix:///run/redis.sock", "redis://localhost"]
)
def test_redis_url_of_each_kind_is_taken(url: str) -> None:
    assert Redis(url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        *("http://r", "redis://", "redis://r:99999", "redis://r:0", "unix:///", "unix:r.sock", "redis://r x", "r:6379"),
        *("redis://r?ssl_cert_reqs=none", "rediss://r#x", "redis://:secret@r", "redis://ann@r", "redis://ré"),
    ],
)
def test_redis_url_that_names_none_or_says_more_is_refused_unseen(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Redis(url=url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("given", [{"prefix": ""}, {"prefix": "a b"}, {"prefix": "{a}"}, {"timeout_s": 0}, {"ttl": 1}])
def test_redis_settings_out_of_bounds_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Redis(url="redis://r", **given)


def test_session_key_that_can_be_guessed_is_refused() -> None:
    assert key(Secret.model_validate(KEY)) == KEY.encode()
    with pytest.raises(SettingsError, match="shorter than 32"):
        key(Secret.model_validate(KEY[:-1]))


def test_what_is_shared_is_not_mentioned() -> None:
    assert told() == []
    assert told(replicas="sticky", servers={"own": {"command": ["x"]}, "web": {"url": "https://h"}}) == []


@pytest.mark.parametrize("replicas", ["one", None, "many", 3])
def test_gateway_that_is_alone_need_share_nothing(replicas: object) -> None:
    assert told(replicas=replicas, redis=None, session_key=None, servers={"own": {"command": ["x"]}}) == []


def test_what_is_one_gateways_own_is_told_each_in_a_line() -> None:
    servers = {"own": {"command": ["x"]}, "image": {"image": "i"}, "old": {"url": "https://h"}, "odd": 1}
    assert told(redis=None, session_key=None, servers=servers) == [
        "replicas: needs redis",
        "replicas: needs session_key",
        "servers.own: is started by each gateway for itself, and so are its sessions",
        "servers.image: is started by each gateway for itself, and so are its sessions",
        "servers.old.transport: must be http with replicas: several",
    ]
    assert told(replicas="sticky", redis=None, servers=[]) == ["replicas: needs redis"]
