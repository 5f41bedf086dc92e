"""The Kubernetes API is asked as the service account; what it refuses is one line without anything secret."""

from pathlib import Path

import pytest

from sidecar.injector.cluster import Cluster, ClusterError, Conflict
from tests.sidecar.injector.api import Api

SECRET = {"metadata": {"name": "tls", "namespace": "regate"}, "data": {"tls.key": "c2VjcmV0"}}


async def test_secret_is_made_read_and_replaced_by_who_read_it_last(cluster: Cluster, api: Api) -> None:
    assert await cluster.secret("regate", "tls") is None
    await cluster.put_secret("regate", SECRET)
    first = await cluster.secret("regate", "tls")
    assert first is not None
    await cluster.put_secret("regate", first)
    with pytest.raises(Conflict):
        await cluster.put_secret("regate", first)
    with pytest.raises(Conflict):
        await cluster.put_secret("regate", SECRET)
    assert {token for _, _, token in api.asked} == {"Bearer t0ken"}


async def test_trust_changes_the_named_webhooks_only(cluster: Cluster) -> None:
    kind = "validatingwebhookconfigurations"
    await cluster.trust(kind, "regate", {"1.regate.dev": "Y2E="})
    assert [hook["clientConfig"] for hook in await cluster.webhooks(kind, "regate")] == [{}, {"caBundle": "Y2E="}]


@pytest.mark.parametrize("broken", [b"", b"<html>"])
async def test_answer_that_is_not_json_is_an_error(cluster: Cluster, api: Api, broken: bytes) -> None:
    api.broken = broken
    with pytest.raises(ClusterError, match="not JSON"):
        await cluster.webhooks("mutatingwebhookconfigurations", "regate")


async def test_refusal_names_the_question_and_the_status(cluster: Cluster, api: Api) -> None:
    api.answer = lambda *_: (403, {})  # type: ignore[method-assign]
    with pytest.raises(ClusterError, match=r"^POST /api/v1/namespaces/regate/secrets: status 403\.$") as raised:
        await cluster.put_secret("regate", SECRET)
    assert "Role" in raised.value.hint


async def test_nobody_there_is_an_error(tmp_path: Path, cluster: Cluster) -> None:
    (tmp_path / "token").unlink()
    with pytest.raises(ClusterError, match="no answer"):
        await cluster.secret("regate", "tls")


def test_service_account_that_is_not_mounted_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="cannot be read"):
        Cluster(ca_file=tmp_path / "none")
