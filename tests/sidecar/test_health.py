from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from sidecar.health import About, Health, PolicyState, ServerState, SourceState, Tls, status

POLICY = PolicyState("p", "policy.json", "sha256:1")
STARTED = datetime(2026, 1, 1, tzinfo=UTC)


def test_health_with_all_in_place_is_ready() -> None:
    health = Health([POLICY], {"p": "sha256:1", "left": "sha256:0"})
    assert health.ready
    assert health.document() == {"ready": True, "reasons": []}


@pytest.mark.parametrize(
    ("policies", "opa", "store_problem", "audit_healthy", "reasons"),
    [
        ([POLICY], None, "", True, ["OPA does not answer"]),
        ([POLICY], {}, "", True, ["OPA does not hold policy p"]),
        ([POLICY], {"p": "sha256:0"}, "", True, ["OPA holds another revision of policy p"]),
        ([PolicyState("p", "f", None, "bad")], {}, "", True, ["policy p was rejected"]),
        ([], {}, "no space left", True, ["the store cannot be written: no space left"]),
        ([], {}, "", False, ["the audit log cannot be written"]),
        (
            [POLICY, PolicyState("q", "f", "sha256:2")],
            None,
            "gone",
            False,
            ["OPA does not answer", "the store cannot be written: gone", "the audit log cannot be written"],
        ),
    ],
)
def test_health_with_something_missing_tells_every_reason(
    policies: list[PolicyState],
    opa: Mapping[str, str] | None,
    store_problem: str,
    audit_healthy: bool,
    reasons: list[str],
) -> None:
    health = Health(policies, opa, store_problem, audit_healthy)
    assert not health.ready
    assert health.document() == {"ready": False, "reasons": reasons}


def test_health_with_a_server_that_does_not_listen_is_not_ready() -> None:
    health = Health([POLICY], {"p": "sha256:1"}, silent=("server s does not listen",))
    assert health.document() == {"ready": False, "reasons": ["server s does not listen"]}


def test_health_with_a_bad_file_is_ready_while_the_last_good_policy_is_held() -> None:
    assert Health([PolicyState("p", "f", "sha256:1", "line 3 is wrong")], {"p": "sha256:1"}).ready


def test_status_says_all_of_it() -> None:
    health = Health([POLICY], {"p": "sha256:1"})
    about = About("0.1.0", 7, "http://127.0.0.1:8700", STARTED, "/state", "/opa", 2)
    servers = [ServerState("git", "stdio"), ServerState("web", "http", "does not answer")]
    document = status(health, about, servers, {"allowed": 3}, STARTED + timedelta(seconds=90.7))
    assert document == {
        "ready": True,
        "reasons": [],
        "version": "0.1.0",
        "pid": 7,
        "url": "http://127.0.0.1:8700",
        "up_s": 90,
        "tls": None,
        "servers": [
            {"name": "git", "transport": "stdio", "problem": ""},
            {"name": "web", "transport": "http", "problem": "does not answer"},
        ],
        "policies": [{"id": "p", "file": "policy.json", "revision": "sha256:1", "held": "sha256:1", "problem": ""}],
        "bundle": None,
        "opa": {"answers": True, "binary": "/opa", "restarts": 2},
        "store": {"folder": "/state", "writable": True, "problem": "", "audit": True},
        "calls": {"allowed": 3},
    }


SOURCE = SourceState("https://h/b", "library:1,policies:2", 7, "0b1c", 12.4, 60)


def test_status_tells_of_the_bundle_and_its_source() -> None:
    about = About("0.1.0", 7, "http://x", STARTED, "/state", "/opa")
    health = Health([POLICY], {"p": "sha256:1"}, source=SOURCE)
    assert health.ready
    assert status(health, about, [], {}, STARTED)["bundle"] == {
        "source": "https://h/b",
        "revision": "library:1,policies:2",
        "serial": 7,
        "commit": "0b1c",
        "age_s": 12,
        "max_policy_age_s": 60,
        "problem": "",
        "in_force": True,
    }


def test_bundle_that_is_not_in_force_keeps_the_gateway_from_being_ready() -> None:
    none = SourceState("https://h/b", None, stale="No bundle is in force.")
    assert Health([], {}, source=none).reasons == ("No bundle is in force.",)
    assert none.document()["in_force"] is False


def test_policy_that_a_grant_names_and_nobody_has_is_a_reason() -> None:
    missing = PolicyState("q", "https://h/b", "", "the bundle does not have it")
    assert Health([missing], {}).reasons == ("OPA does not hold policy q: the bundle does not have it",)


def test_status_without_opa_holds_nothing() -> None:
    about = About("0.1.0", 7, "http://x", STARTED, "/state", "/opa")
    document = status(Health([POLICY], None, "full", False), about, [], {}, STARTED)
    assert document["policies"][0]["held"] is None
    assert document["opa"]["answers"] is False
    assert document["store"] == {"folder": "/state", "writable": False, "problem": "full", "audit": False}


def test_health_of_a_gateway_that_stops_is_not_ready() -> None:
    assert Health([], {}, stopping=True).reasons == ("the gateway is stopping",)


@pytest.mark.parametrize(
    ("tls", "problem"),
    [
        (Tls(STARTED + timedelta(days=1)), ""),
        (Tls(STARTED + timedelta(days=1), "the new key is another's"), "the new key is another's"),
        (Tls(STARTED), "the certificate has expired"),
    ],
)
def test_status_says_how_the_certificate_is(tls: Tls, problem: str) -> None:
    about = About("0.1.0", 7, "https://x", STARTED, "/state", "/opa", tls=tls)
    found = status(Health([], {}), about, [], {}, STARTED)["tls"]
    assert found == {"expires_at": tls.expires_at.isoformat(), "problem": problem}
