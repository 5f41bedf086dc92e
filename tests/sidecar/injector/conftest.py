from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sidecar.injector.cluster import Cluster
from sidecar.injector.issue import issue
from tests.sidecar.injector.api import Api, serving


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as api:
        yield api


@pytest.fixture
async def cluster(api: Api, tmp_path: Path) -> AsyncIterator[Cluster]:
    (tmp_path / "token").write_text("t0ken\n")
    (tmp_path / "ca.crt").write_bytes(issue(["localhost"], datetime.now(UTC)).authorities)
    async with Cluster(api.url, tmp_path / "token", tmp_path / "ca.crt") as made:
        yield made
