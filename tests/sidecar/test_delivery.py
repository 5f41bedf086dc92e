import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar.delivery import source
from sidecar.errors import SettingsError
from sidecar.settings.sources import Bundle
from sidecar.sources.file import FileSource
from sidecar.sources.http import HttpSource
from sidecar.sources.oci import OciSource


def bundle(url: str, **more: Any) -> Bundle:
    return Bundle.model_validate({"url": url, "keys": [{"file": "k", "alg": "ES256"}], **more})


@pytest.mark.parametrize(
    ("url", "kind"), [("file:///a%20b.tar.gz", FileSource), ("https://h/b", HttpSource), ("oci://h/p:1", OciSource)]
)
def test_source_is_of_the_kind_that_its_url_says(url: str, kind: type) -> None:
    assert isinstance(source(bundle(url)), kind)
    assert source(bundle(url, max_policy_age_s=3)).every_s == 1


def test_source_in_a_registry_that_does_not_name_a_place_is_an_error() -> None:
    with pytest.raises(SettingsError, match="names no place"):
        source(bundle("oci://h/Upper"))


def test_source_with_a_ca_file_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no certificates"):
        source(bundle("https://h/b", ca_file=str(tmp_path / "none.pem")))


def test_gateway_without_a_bundle_loads_nothing_of_signatures() -> None:
    loaded = "import sys, sidecar.deciding; sys.exit('jwt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], timeout=60, check=False).returncode == 0
