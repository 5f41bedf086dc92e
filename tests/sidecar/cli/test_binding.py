"""The options name all that a grant may be bound with, and the same by default."""

from typing import Any

import pytest

from sidecar.cli import binding
from sidecar.settings.auth import Rule
from sidecar.settings.grants import TokenGrant


@pytest.mark.parametrize(
    ("field", "option"),
    [
        ("list", binding.ListOf),
        ("policed_methods", binding.Policed),
        ("hidden_calls", binding.HiddenCalls),
        ("approval", binding.ApprovalBy),
    ],
)
def test_option_takes_what_the_setting_takes(field: str, option: Any) -> None:
    for model in (TokenGrant, Rule):
        setting = model.model_fields[field]
        assert [one.value for one in option] == list(setting.annotation.__args__)  # type: ignore[union-attr]
        assert next(iter(option)).value == setting.default
