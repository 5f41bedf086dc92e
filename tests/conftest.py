"""What every test may ask for. A test that uses `opa_path` is marked `opa`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.opa import binary
from tests.redisserver import RedisServer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--calls", type=int, default=0, help="how many generated calls two opinions are compared on  [default: a few]"
    )
    parser.addoption(
        "--fuzz-seconds", type=float, default=0, help="how long documents are bent for the translator  [default: 8]"
    )
    parser.addoption("--fuzz-seed", type=int, default=1, help="which documents  [default: 1]")
    parser.addoption("--mutants", type=int, default=0, help="how many bent messages are sent  [default: 12,000]")
    parser.addoption("--pairs", type=int, default=0, help="how many pairs of policies are diffed  [default: a few]")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "opa_path" in getattr(item, "fixturenames", ()):
            item.add_marker("opa")


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
