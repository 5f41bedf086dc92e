from pathlib import Path

import pytest

from sidecar.cli.stores import state_store
from sidecar.errors import StoreError


def test_state_store_that_is_not_there_is_not_made_by_asking(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no state directory"), state_store(tmp_path / "none"):
        pytest.fail("opened")
    assert not (tmp_path / "none").exists()


def test_state_store_is_made_when_told(tmp_path: Path) -> None:
    with state_store(tmp_path / "new", make=True) as database:
        assert database.read("SELECT count(*) FROM grants") == [(0,)]
    with state_store(tmp_path / "new") as database:
        assert database.read("SELECT count(*) FROM grants") == [(0,)]
