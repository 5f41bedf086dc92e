from pathlib import Path

import pytest
from pydantic import ValidationError

from sidecar.settings.serving import Drain, Tls


def test_drain_without_settings_announces_nothing_and_has_less_than_kubernetes_gives() -> None:
    assert Drain() == Drain(announce_s=0, finish_s=20)


@pytest.mark.parametrize("given", [{"announce_s": -1}, {"finish_s": -0.1}, {"finish_s": 100_000}, {"grace": 1}])
def test_drain_out_of_bounds_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Drain.model_validate(given)


def test_tls_files_are_relative_to_the_settings_file() -> None:
    tls = Tls.model_validate({"cert_file": "a.pem", "key_file": "/k.pem"}, context={"base": "/etc/regate"})
    assert tls.files == (Path("/etc/regate/a.pem"), Path("/k.pem"), None)


def test_tls_without_a_key_is_refused() -> None:
    with pytest.raises(ValidationError):
        Tls.model_validate({"cert_file": "a.pem"})
