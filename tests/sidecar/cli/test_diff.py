import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Regate = Callable[..., Any]


@pytest.fixture
def policies(regate: Regate, opa_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes old.json and new.json, each with these rules of tool `t`."""
    monkeypatch.setenv("REGATE_OPA", str(opa_path))

    def write(old: Any, new: Any) -> None:
        for name, rules in (("old", old), ("new", new)):
            document = {"version": "1", "default": "deny", "tools": {"t": rules}}
            Path(f"{name}.json").write_text(json.dumps(document), encoding="utf-8")

    return write


def gt(value: int) -> dict[str, Any]:
    return {"deny_if": [{"conditions": [{"path": "args.a", "op": "gt", "value": value}]}]}


GREEK = {"require": [{"conditions": [{"path": "args.a", "op": "regex", "value": r"\p{Greek}"}]}]}
CYRILLIC = {"require": [{"conditions": [{"path": "args.a", "op": "regex", "value": r"\p{Cyrillic}"}]}]}


def test_diff_shows_a_call_whose_outcome_changes(regate: Regate, policies: Callable[..., None]) -> None:
    policies(gt(5), gt(6))
    done = regate("diff", "old.json", "new.json")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "t: looser",
        '  {"a": 6}: denied -> allowed',
        "equivalent: any other tool",
        "Tools: 1 looser, 1 equivalent.",
    ]


@pytest.mark.parametrize(
    ("old", "new", "fail_on", "code"),
    [
        (gt(5), gt(6), "looser", 1),
        (gt(5), gt(6), "any", 1),
        (gt(5), gt(6), "stricter", 0),
        (gt(6), gt(5), "looser", 0),
        (gt(6), gt(5), "stricter", 1),
        (GREEK, CYRILLIC, "looser", 3),
        (GREEK, GREEK, "any", 0),
    ],
)
def test_diff_fails_on_what_it_is_told_to(
    old: Any, new: Any, fail_on: str, code: int, regate: Regate, policies: Callable[..., None]
) -> None:
    policies(old, new)
    assert regate("diff", "old.json", "new.json", "--fail-on", fail_on).code == code


def test_diff_says_what_it_could_not_decide(regate: Regate, policies: Callable[..., None]) -> None:
    policies(GREEK, CYRILLIC)
    done = regate("diff", "old.json", "new.json")
    assert done.code == 3
    assert done.out.splitlines()[:2] == [
        "t: equivalent, as far as decided",
        '  not decided (looser or stricter): regex "\\\\p{Greek}" and "\\\\p{Cyrillic}": not every text could be tried',
    ]


def test_diff_as_json_and_with_the_tools_of_a_server(regate: Regate, policies: Callable[..., None]) -> None:
    policies(gt(5), gt(6))
    Path("tools.json").write_text('{"tools": [{"name": "listed", "inputSchema": {}}]}', encoding="utf-8")
    done = regate("diff", "old.json", "new.json", "--tools", "tools.json", "--format", "json")
    document = json.loads(done.out)
    assert [(each["tools"][0], each["verdict"]) for each in document["tools"]] == [
        ("t", "looser"),
        ("listed", "equivalent"),
    ]
    assert document["tools"][0]["looser"]["arguments"] == '{"a": 6}'


def test_diff_as_markdown(regate: Regate, policies: Callable[..., None]) -> None:
    policies(gt(5), gt(6))
    done = regate("diff", "old.json", "new.json", "--format", "markdown")
    assert '| `t` | looser | `{"a": 6}` | denied | allowed |' in done.out.splitlines()


def test_diff_maps_denials_to_approvals_as_told(regate: Regate, policies: Callable[..., None]) -> None:
    policies({"deny_if": [{"conditions": [], "on_deny": "Ask Ann."}]}, {"require_approval": [{}]})
    assert "t: looser" in regate("diff", "old.json", "new.json").out
    assert "t: looser" not in regate("diff", "old.json", "new.json", "--approval-map", "Ask Ann.").out


def test_diff_of_a_bad_policy_compares_nothing(regate: Regate, policies: Callable[..., None]) -> None:
    policies(gt(5), {"deny_fi": []})
    done = regate("diff", "old.json", "new.json", "--format", "json")
    assert (done.code, done.out) == (3, "")
    assert "new.json:1:" in done.err
    assert "new.json has problems" in done.err


def test_diff_of_a_file_that_cannot_be_read(regate: Regate, policies: Callable[..., None]) -> None:
    policies(gt(5), gt(6))
    assert regate("diff", "old.json", "nothing.json").code == 2
    assert regate("diff", "old.json", ".").code == 2
