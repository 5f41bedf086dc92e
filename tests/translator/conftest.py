"""What the translator's tests may ask for."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite the expected files of tests/translator/cases"
    )


@pytest.fixture(scope="session")
def update_golden(pytestconfig: pytest.Config) -> bool:
    """Whether expected files are to be rewritten. The option exists only when this folder is named to pytest."""
    return bool(pytestconfig.getoption("update_golden", default=False))
