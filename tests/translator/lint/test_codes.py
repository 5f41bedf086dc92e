import re

from translator.lint import codes


def test_code_of_every_lint_is_unique_and_stable_in_form() -> None:
    defined = [value for value in vars(codes).values() if isinstance(value, codes.Lint)]
    assert list(codes.LINTS.values()) == defined
    assert all(re.fullmatch(r"[a-z_]+", each.code) and each.meaning.endswith(".") for each in defined)
    assert [each.code for each in defined if each.severity == "error"] == ["invalid_policy"]
