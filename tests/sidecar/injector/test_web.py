"""The API server's questions are answered; anything else is refused in a line."""

import json
from typing import Any

import pytest

from sidecar.downstream.request import Head, Pairs
from sidecar.errors import ProtocolError, SidecarError
from sidecar.injector.review import Exempt
from sidecar.injector.web import Injector
from tests.sidecar.injector.objects import TEMPLATE, pod
from tests.sidecar.injector.test_review import question


class Written:
    """Takes one answer."""

    def __init__(self) -> None:
        self.answer: tuple[int, bytes] = 0, b""

    async def write(self, status: int, _headers: Pairs, body: bytes) -> None:
        self.answer = status, body

    async def stream(self, *_: Any) -> None:
        raise AssertionError("no answer of the injector's is a stream")


async def asked(method: str, path: str, body: bytes = b"") -> tuple[int, bytes, list[SidecarError]]:
    warned: list[SidecarError] = []
    written = Written()
    injector = Injector(TEMPLATE, Exempt(), warned.append)
    await injector.admit(Head(method, path, {}))(body, written)
    return *written.answer, warned


@pytest.mark.parametrize(("path", "allowed"), [("/mutate", True), ("/validate", False)])
async def test_question_is_answered(path: str, allowed: bool) -> None:
    status, body, warned = await asked("POST", path, question("Pod", pod()))
    assert (status, json.loads(body)["response"]["allowed"], warned) == (200, allowed, [])


async def test_what_is_no_question_is_400_and_told() -> None:
    status, body, warned = await asked("POST", "/mutate", b"{}")
    assert (status, body) == (400, b"This is no AdmissionReview of admission.k8s.io/v1.\n")
    assert len(warned) == 1


async def test_health_is_for_anybody() -> None:
    assert await asked("GET", "/healthz") == (200, b'{"ok":true}', [])


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/mutate", 405), ("POST", "/", 404)])
def test_anything_else_is_not_admitted(method: str, path: str, status: int) -> None:
    injector = Injector(TEMPLATE, Exempt(), lambda _: None)
    with pytest.raises(ProtocolError) as raised:
        injector.admit(Head(method, path, {}))
    assert injector.refuse(None, raised.value)[0] == status
    assert injector.body_limit_bytes >= 3 * 1024 * 1024
