"""The images under test, built once from the Dockerfiles; only the short form runs without `--images`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.images.pod import BARE, REGATE, ROOT, SAMPLE

SHORT = "test_short.py"
_LEFT = (
    "ignore:unclosed <socket:ResourceWarning",
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning",
)
"""What the package docker leaves to the garbage collector: the connections of commands in containers."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and "python_image" in getattr(item, "fixturenames", ()):
            if item.path.name != SHORT and not config.getoption("--images"):
                item.add_marker(pytest.mark.skip(reason="a long test of images: `make test-images`"))
            item.add_marker(pytest.mark.timeout(600))
            for left in _LEFT:
                item.add_marker(pytest.mark.filterwarnings(left))


def built(*names: str) -> str:
    """What the scripts say of it. Fails where they fail: a Docker daemon and the base image are there."""
    environment = os.environ | {"PIP": f"{sys.executable} -m pip"}
    said = ""
    for script, arguments in (("base.sh", ["opa"]), ("build.sh", list(names))):
        done = subprocess.run(
            ["sh", str(ROOT / "deploy" / "docker" / script), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=ROOT,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        said += done.stdout
    return said


@pytest.fixture(scope="session")
def regate_image(python_image: str) -> str:
    """The product image."""
    print(built("regate"))
    return REGATE


@pytest.fixture(scope="session")
def bare_image(python_image: str) -> str:
    """The product image without OPA."""
    print(built("bare"))
    return BARE


@pytest.fixture(scope="session")
def sample_image(python_image: str) -> str:
    """The sample server's image, which has a real MCP client in it too."""
    print(built("sample"))
    return SAMPLE
