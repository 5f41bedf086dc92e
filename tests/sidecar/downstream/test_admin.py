import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from sidecar.downstream.admin import Admin
from sidecar.downstream.guard import RequestRefused
from sidecar.downstream.pages import Pages
from sidecar.downstream.request import Head, Pairs


class Written:
    """Takes one whole answer."""

    def __init__(self) -> None:
        self.answer: tuple[int, Pairs, bytes] = (0, [], b"")

    async def write(self, status: int, headers: Pairs, body: bytes) -> None:
        self.answer = (status, headers, body)

    async def stream(
        self, status: int, headers: Pairs, chunks: AsyncGenerator[bytes, None], *, lasting: bool = False
    ) -> None:
        raise AssertionError


async def asked(
    admin: Admin, path: str, *, host: bytes = b"127.0.0.1:8701", method: str = "GET", **headers: bytes
) -> tuple[int, bytes]:
    head = Head(method, path, {b"host": [host], **{name.encode(): [value] for name, value in headers.items()}})
    written = Written()
    await admin.admit(head)(b"", written)
    return written.answer[0], written.answer[2]


def pages(*, ready: bool = True) -> Pages:
    async def readiness() -> tuple[bool, Mapping[str, Any]]:
        return ready, {"ready": ready}

    async def status() -> tuple[bool, Mapping[str, Any]]:
        return True, {"all": "well"}

    async def metrics() -> bytes:
        return b"regate_ready 1\n"

    return Pages(readiness, status, {}.get, b"operator", metrics=metrics)


@pytest.mark.parametrize("stage", ["starting", "stopping"])
async def test_gateway_that_does_not_serve_lives_and_is_not_ready(stage: str) -> None:
    admin = Admin({"localhost"})
    admin.stage = stage
    assert (await asked(admin, "/livez"))[0] == 200
    for path in ("/readyz", "/startupz", "/metrics"):
        status, body = await asked(admin, path)
        assert (status, json.loads(body)["reasons"]) == (503, [f"the gateway is {stage}"])


@pytest.mark.parametrize("ready", [True, False])
async def test_gateway_that_serves_has_started_whether_ready_or_not(ready: bool) -> None:
    admin = Admin({"localhost"})
    admin.pages = pages(ready=ready)
    assert (await asked(admin, "/livez"))[0] == 200
    assert (await asked(admin, "/startupz"))[0] == 200
    assert (await asked(admin, "/readyz"))[0] == (200 if ready else 503)
    assert await asked(admin, "/metrics") == (200, b"regate_ready 1\n")
    assert (await asked(admin, "/status"))[0] == 404
    assert (await asked(admin, "/status", authorization=b"Bearer operator"))[0] == 200
    assert (await asked(admin, "/mcp"))[0] == 404


@pytest.mark.parametrize("host", [b"10.1.2.3:8701", b"[::1]:8701", b"LOCALHOST", b"gate.svc:80", b"127.0.0.1"])
async def test_host_that_is_an_address_or_known_is_served(host: bytes) -> None:
    assert (await asked(Admin({"localhost", "gate.svc"}), "/livez", host=host))[0] == 200


@pytest.mark.parametrize("host", [b"evil.example", b"", b"127.0.0.1.evil.example", b"x" * 100_000])
def test_host_that_a_page_made_up_is_refused(host: bytes) -> None:
    with pytest.raises(RequestRefused) as refused:
        Admin({"localhost"}).admit(Head("GET", "/metrics", {b"host": [host]}))
    assert refused.value.http_status == 421


def test_request_without_one_host_is_refused() -> None:
    for headers in ({}, {b"host": [b"localhost", b"localhost"]}):
        with pytest.raises(RequestRefused):
            Admin({"localhost"}).admit(Head("GET", "/livez", headers))


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "PUT"])
def test_method_that_would_change_something_is_refused(method: str) -> None:
    admin = Admin({"*"})
    head = Head(method, "/livez", {b"host": [b"any"]})
    with pytest.raises(RequestRefused) as refused:
        admin.admit(head)
    status, headers, body = admin.refuse(head, refused.value)
    assert status == 405
    assert (b"allow", b"GET, HEAD") in headers
    assert "error" in json.loads(body)
