"""The injector's certificate is made once for all replicas, trusted before it is shown, and renewed in time."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import SidecarError
from sidecar.injector import renewal
from sidecar.injector.cluster import Cluster, ClusterError
from sidecar.injector.issue import LIFE, issue
from tests.sidecar.injector.api import Api

NOW = datetime.now(UTC)


def place(folder: Path) -> renewal.Place:
    return renewal.Place("regate", "tls", ("injector.regate.svc",), ("regate",), folder)


def trusted(api: Api) -> set[str | None]:
    return {hook["clientConfig"].get("caBundle") for hooks in api.hooks.values() for hook in hooks}


async def test_first_makes_keeps_and_has_it_trusted(cluster: Cluster, api: Api, tmp_path: Path) -> None:
    await renewal.first(cluster, place(tmp_path))
    assert api.secret is not None
    held = {name: base64.b64decode(value) for name, value in api.secret["data"].items()}
    assert (tmp_path / "tls.crt").read_bytes() == held["tls.crt"]
    assert (tmp_path / "tls.key").read_bytes() == held["tls.key"]
    assert (tmp_path / "tls.key").stat().st_mode & 0o777 == 0o600
    assert trusted(api) == {base64.b64encode(held["ca.crt"]).decode()}


async def test_renewed_before_it_is_due_writes_nothing(cluster: Cluster, api: Api, tmp_path: Path) -> None:
    await renewal.renewed(cluster, place(tmp_path), NOW)
    written = [one for one in api.asked if one[0] != "GET"]
    await renewal.renewed(cluster, place(tmp_path), NOW)
    assert [one for one in api.asked if one[0] != "GET"] == written


async def test_renewed_when_due_trusts_both_before_the_new_one_is_shown(
    cluster: Cluster, api: Api, tmp_path: Path
) -> None:
    first = await renewal.renewed(cluster, place(tmp_path), NOW)
    shown: list[bytes] = []
    answer = api.answer

    def spying(method: str, path: str, body: Any) -> tuple[int, Any]:
        shown.append((tmp_path / "tls.crt").read_bytes())
        return answer(method, path, body)

    api.answer = spying  # type: ignore[method-assign]
    second = await renewal.renewed(cluster, place(tmp_path), NOW + LIFE)
    assert second != first
    assert set(shown) == {first.certificate}
    assert (tmp_path / "tls.crt").read_bytes() == second.certificate
    assert second.authorities.endswith(first.authorities)
    assert trusted(api) == {base64.b64encode(second.authorities).decode()}


async def test_first_of_two_replicas_makes_it_and_the_other_takes_it(
    cluster: Cluster, api: Api, tmp_path: Path
) -> None:
    mine, theirs = place(tmp_path / "mine"), place(tmp_path / "theirs")
    api.beaten = 1
    await asyncio.gather(renewal.first(cluster, mine), renewal.first(cluster, theirs))
    assert (mine.files / "tls.crt").read_bytes() == (theirs.files / "tls.crt").read_bytes()


async def test_secret_that_is_lost_is_made_anew_and_the_one_still_shown_stays_trusted(
    cluster: Cluster, api: Api, tmp_path: Path
) -> None:
    first = await renewal.renewed(cluster, place(tmp_path), NOW)
    assert api.secret is not None
    api.secret["data"] = {}
    second = await renewal.renewed(cluster, place(tmp_path), NOW)
    assert second.authorities.endswith(first.authorities)
    assert trusted(api) == {base64.b64encode(second.authorities).decode()}


async def test_authority_that_is_none_is_trusted_no_longer(cluster: Cluster, api: Api, tmp_path: Path) -> None:
    for hooks in api.hooks.values():
        for hook in hooks:
            hook["clientConfig"]["caBundle"] = "!"
    issued = await renewal.renewed(cluster, place(tmp_path), NOW)
    assert issued.authorities.count(b"BEGIN CERTIFICATE") == 1
    assert trusted(api) == {base64.b64encode(issued.authorities).decode()}


@pytest.mark.parametrize("data", [None, {}, {"ca.crt": "!", "tls.crt": "", "tls.key": ""}])
async def test_secret_that_holds_no_certificate_is_replaced(
    cluster: Cluster, api: Api, tmp_path: Path, data: Any
) -> None:
    await cluster.put_secret(
        "regate", {"metadata": {"name": "tls", "managedFields": []}, "type": "Opaque", "data": data}
    )
    issued = await renewal.renewed(cluster, place(tmp_path), NOW)
    assert api.secret is not None
    assert base64.b64decode(api.secret["data"]["tls.crt"]) == issued.certificate
    assert api.secret["type"] == "Opaque"


async def test_keep_renews_tells_of_failures_and_goes_on(cluster: Cluster, api: Api, tmp_path: Path) -> None:
    old = issue(("injector.regate.svc",), NOW - LIFE + timedelta(days=1))
    told: asyncio.Queue[SidecarError] = asyncio.Queue()
    api.broken = b"x"
    keeping = asyncio.create_task(renewal.keep(cluster, place(tmp_path), told.put_nowait, every_s=0.001))
    assert isinstance(await asyncio.wait_for(told.get(), 20), ClusterError)
    loop, shown, answer = asyncio.get_running_loop(), asyncio.Event(), api.answer

    def spying(method: str, path: str, body: Any) -> tuple[int, Any]:
        if (tmp_path / "tls.crt").exists():
            loop.call_soon_threadsafe(shown.set)
        return answer(method, path, body)

    api.answer = spying  # type: ignore[method-assign]
    api.beaten = 1
    api.broken = None
    await asyncio.wait_for(shown.wait(), 20)
    assert (tmp_path / "tls.crt").read_bytes() != old.certificate
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
