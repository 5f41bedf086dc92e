from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sidecar.settings.container import Container, Mount


def test_container_is_closed_by_default() -> None:
    assert Container().model_dump() == {
        "network": "none",
        "mounts": (),
        "user": None,
        "memory_mb": 512,
        "cpus": 1,
        "pids": 256,
    }


@pytest.mark.parametrize(
    ("given", "source", "writable"),
    [
        ("/srv/data:/data", "/srv/data", False),
        ("/srv/data:/data:ro", "/srv/data", False),
        ("./data:/data:rw", "/etc/regate/data", True),
        (".:/data", "/etc/regate", False),
        ("volume-1:/data", "volume-1", False),
        ({"source": "data/sub", "target": "/data", "writable": True}, "/etc/regate/data/sub", True),
    ],
)
def test_mount_is_a_folder_from_the_file_on_or_a_volume(given: Any, source: str, writable: bool) -> None:
    mount = Mount.model_validate(given, context={"base": Path("/etc/regate")})
    assert (mount.source, mount.target, mount.writable) == (source, "/data", writable)


@pytest.mark.parametrize(
    "given", ["/data", "a:b", "/a:/", "/a:/b:rx", ":/b", "/a:/b/../c", "a b:/c", "/a:/b:ro:rw", {"source": "/a"}, 7]
)
def test_mount_that_cannot_be_is_refused(given: Any) -> None:
    with pytest.raises(ValidationError):
        Mount.model_validate(given)
