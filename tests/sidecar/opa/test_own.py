from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar.errors import DecisionError
from sidecar.opa.own import OwnOpa, examine
from sidecar.sources.accepted import Trust, accept
from sidecar.sources.archive import pack
from tests import bundles

GOOD = accept(bundles.packed(bundles.files(serial=1)), Trust())
NEXT = accept(bundles.packed(bundles.files({"p": bundles.DENIES}, serial=2)), Trust())


def bent(*rules: str) -> bytes:
    """A bundle whose policy has these rules besides its own."""
    files = bundles.files()
    path = "mcp/policies/p.rego"
    return pack(files | {path: "\n".join([files[path], *rules, ""])})


@pytest.fixture
async def opa(opa_path: Path) -> AsyncIterator[OwnOpa]:
    made = OwnOpa(opa_path, timeout_s=5)
    made.place(GOOD)
    await made.start()
    yield made
    await made.close()


async def test_own_opa_holds_what_it_is_given(opa: OwnOpa, opa_path: Path) -> None:
    assert await opa.held() == {"p": GOOD.policies["p"].revision}
    await opa.publish_examined(NEXT)
    assert await opa.held() == {"p": NEXT.policies["p"].revision}
    assert (opa.name, opa.restarts) == (str(opa_path), 0)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ('secrets := http.send({"method": "GET", "url": "http://h"})', "undefined function http.send"),
        ("secrets := opa.runtime()", "undefined function opa.runtime"),
        ("secrets := time.now_ns()", "undefined function time.now_ns"),
        ("secrets := ", "rego_parse_error"),
    ],
)
def test_examine_policy_that_reaches_out_is_refused(opa_path: Path, rule: str, says: str) -> None:
    with pytest.raises(DecisionError, match=says) as refused:
        examine(opa_path, bent(rule))
    assert "\n" not in str(refused.value)
    examine(opa_path, bent())


async def test_publish_of_a_policy_that_reaches_out_changes_nothing(opa: OwnOpa) -> None:
    from dataclasses import replace

    with pytest.raises(DecisionError, match=r"http\.send"):
        await opa.publish_examined(replace(NEXT, data=bent('x := http.send({"method": "GET", "url": "http://h"})')))
    assert await opa.held() == {"p": GOOD.policies["p"].revision}


def test_examine_without_an_opa_that_answers_refuses(tmp_path: Path) -> None:
    with pytest.raises(DecisionError, match="does not say whether it takes"):
        examine(tmp_path / "opa", GOOD.data)
