"""What every test may ask for. A test that uses `opa_path` is marked `opa`."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
import pytest

from sidecar.opa import binary
from tests.redisserver import RedisServer

DEPLOY = Path(__file__).parents[1] / "deploy"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--calls", type=int, default=0, help="how many generated calls two opinions are compared on  [default: a few]"
    )
    parser.addoption(
        "--fuzz-seconds", type=float, default=0, help="how long documents are bent for the translator  [default: 8]"
    )
    parser.addoption("--fuzz-seed", type=int, default=1, help="which documents  [default: 1]")
    parser.addoption("--more-clients", action="store_true", help="try also the clients that have to be compiled")
    parser.addoption("--mutants", type=int, default=0, help="how many bent messages are sent  [default: 12,000]")
    parser.addoption("--pairs", type=int, default=0, help="how many pairs of policies are diffed  [default: a few]")
    parser.addoption("--cluster", action="store_true", help="run the tests in a real cluster, that of $KUBECONFIG")
    parser.addoption("--cluster-report", help="the file to write when all of them have passed")
    parser.addoption("--images", action="store_true", help="run the long tests of container images, too")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "opa_path" in getattr(item, "fixturenames", ()):
            item.add_marker("opa")
        if "python_image" in getattr(item, "fixturenames", ()):
            item.add_marker("docker")


@pytest.fixture(scope="session")
def opa_path() -> Path:
    """The OPA that the sidecar itself would use. Its absence is a failure: a skip would hide half of the tests."""
    found = binary.find()
    if found is None:
        pytest.fail("No OPA here. Run `make setup`, or leave these tests out with -m 'not opa'.", pytrace=False)
    return found


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis for all tests of a module; each takes a prefix of its own."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture(scope="session")
def python_image() -> str:
    """An image with Python in it, at a Docker daemon that answers. Skips where there is none."""
    name = "python:3.13-slim"
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except docker.errors.DockerException:
        pytest.skip("No Docker daemon answers; `make test-images` starts one, as root.")
    try:
        done = subprocess.run(
            ["sh", str(DEPLOY / "docker" / "base.sh"), "python"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"There is no image {name}, and none can be made: {done.stderr.strip()}")
    finally:
        client.close()
    return name
