import json
from collections.abc import Mapping
from typing import Any

import pytest

from sidecar.downstream.pages import Pages


def pages(*, fine: bool = True) -> Pages:
    async def ready() -> tuple[bool, Mapping[str, Any]]:
        return fine, {"ready": fine}

    async def status() -> tuple[bool, Mapping[str, Any]]:
        return fine, {"servers": ["s\u00e9"]}

    return Pages(ready, status, {"p": {"document": "{}"}}.get, b"operator")


async def test_healthz_answers_anybody() -> None:
    status, body = await pages(fine=False).page("/healthz", {})
    assert (status, json.loads(body)) == (200, {"ok": True})


@pytest.mark.parametrize(("fine", "status"), [(True, 200), (False, 503)])
async def test_readyz_says_whether_calls_can_be_served(fine: bool, status: int) -> None:
    assert await pages(fine=fine).page("/readyz", {}) == (status, json.dumps({"ready": fine}).encode())


async def test_readyz_of_servers_is_another_answer_or_none() -> None:
    async def silent() -> tuple[bool, Mapping[str, Any]]:
        return False, {"reasons": ["server s does not listen"]}

    plain = pages()
    told = Pages(plain.ready, plain.status, plain.policy, b"operator", ready_servers=silent)
    assert await told.page("/readyz/servers", {}) == (503, b'{"reasons": ["server s does not listen"]}')
    assert (await told.page("/readyz", {}))[0] == 200
    assert (await plain.page("/readyz/servers", {}))[0] == 404


@pytest.mark.parametrize("fine", [True, False])
async def test_status_answers_the_operator(fine: bool) -> None:
    status, body = await pages(fine=fine).page("/status", {b"authorization": [b"Bearer operator"]})
    assert (status, json.loads(body)) == (200, {"servers": ["s\u00e9"]})


@pytest.mark.parametrize("given", [[], [b""], [b"Bearer "], [b"Bearer operato"], [b"operator"], [b"Bearer \xff"]])
async def test_status_looks_absent_to_others(given: list[bytes]) -> None:
    headers = {b"authorization": given} if given else {}
    assert await pages().page("/status", headers) == await pages().page("/nothing", headers)


@pytest.mark.parametrize("path", ["/", "", "/healthz/", "/status/", "/mcp/other", "//healthz"])
async def test_other_path_is_not_found(path: str) -> None:
    status, body = await pages().page(path, {b"authorization": [b"Bearer operator"]})
    assert status == 404
    assert "error" in json.loads(body)


async def test_policy_answers_the_operator() -> None:
    status, body = await pages().page("/policies/p", {b"authorization": [b"Bearer operator"]})
    assert (status, json.loads(body)) == (200, {"document": "{}"})


@pytest.mark.parametrize("path", ["/policies/p", "/policies/q", "/policies/", "/policies"])
@pytest.mark.parametrize("given", [[], [b"Bearer operato"]])
async def test_policy_looks_absent_to_others(path: str, given: list[bytes]) -> None:
    headers = {b"authorization": given} if given else {}
    assert await pages().page(path, headers) == await pages().page("/nothing", headers)


@pytest.mark.parametrize("path", ["/policies/q", "/policies/", "/policies", "/policies/p/"])
async def test_policy_that_is_not_in_force_is_not_found(path: str) -> None:
    status, _ = await pages().page(path, {b"authorization": [b"Bearer operator"]})
    assert status == 404


async def test_document_answers_anybody() -> None:
    plain = pages()
    told = Pages(plain.ready, plain.status, plain.policy, b"operator", {"/.well-known/x": b"{}"})
    assert await told.page("/.well-known/x", {}) == (200, b"{}")
    assert (await told.page("/.well-known/x/", {}))[0] == 404
    any_origin = (b"access-control-allow-origin", b"*")
    assert any_origin in (await told.answer("/.well-known/x", {}))[1]
    for path in ("/healthz", "/readyz", "/.well-known/y"):
        assert any_origin not in (await told.answer(path, {}))[1]


def measured(token: bytes | None) -> Pages:
    plain = pages()

    async def metrics() -> bytes:
        return b"m"

    return Pages(plain.ready, plain.status, plain.policy, b"operator", metrics=metrics, metrics_token=token)


@pytest.mark.parametrize(
    ("token", "given", "is_private", "status"),
    [
        (None, b"", True, 200),
        (None, b"", False, 404),
        (None, b"Bearer operator", False, 200),
        (b"scrape", b"", True, 404),
        (b"scrape", b"Bearer scrape", True, 200),
        (b"scrape", b"Bearer scrape", False, 200),
        (b"scrape", b"Bearer operator", False, 200),
        (b"scrape", b"Bearer scrap", True, 404),
    ],
)
async def test_metrics_answer_who_may_read_them(
    token: bytes | None, given: bytes, is_private: bool, status: int
) -> None:
    headers = {b"authorization": [given]} if given else {}
    answered, kind, body = await measured(token).answer("/metrics", headers, is_private=is_private)
    assert answered == status
    if status == 200:
        assert (kind, body) == ([(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")], b"m")


async def test_metrics_token_is_no_operators_token() -> None:
    assert (await measured(b"scrape").answer("/status", {b"authorization": [b"Bearer scrape"]}))[0] == 404
