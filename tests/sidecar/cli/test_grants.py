from collections.abc import Callable
from pathlib import Path
from typing import Any

from sidecar.database import open_database
from sidecar.grants.sqlite import SqliteGrants
from sidecar.ports import Grant

Regate = Callable[..., Any]


def _resolve(state: Path, token: str) -> Grant | None:
    database = open_database(state, "state")
    try:
        return SqliteGrants(database).resolve(token.encode())
    finally:
        database.close_now()


def test_create_prints_the_token_alone_and_once(regate: Regate, tmp_path: Path) -> None:
    done = regate("grants", "create", "--server", "git", "--policy", "p", "--id", "ci")
    token = done.out.strip()
    assert (done.code, done.out) == (0, f"{token}\n")
    assert done.err == "Grant ci: server git, policy p. The token above is not shown again.\n"
    assert _resolve(tmp_path / "state", token) == Grant("ci", "git", "p")
    assert token not in regate("grants", "list").out
    assert token.encode() not in (tmp_path / "state" / "state.sqlite").read_bytes()


def test_create_without_an_id_makes_one_up(regate: Regate) -> None:
    first, second = (regate("grants", "create", "--server", "git", "--policy", "p") for _ in range(2))
    assert first.err.startswith("Grant git-")
    assert first.err.split(":")[0] != second.err.split(":")[0]


def test_create_of_an_id_in_use_is_refused(regate: Regate) -> None:
    arguments = ("grants", "create", "--server", "git", "--policy", "p", "--id", "ci")
    regate(*arguments)
    done = regate(*arguments)
    assert (done.code, done.out) == (1, "")
    assert 'There is a grant "ci" already.' in done.err


def test_create_with_settings_uses_their_names_and_state(regate: Regate, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("REGATE_STATE")
    text = "state: own\nservers: {git: {command: [x]}}\npolicies: {p: {file: p.json}}\n"
    Path("regate.yaml").write_text(text, encoding="utf-8")
    done = regate("grants", "create", "--config", "regate.yaml", "--server", "git", "--policy", "p")
    assert done.code == 0
    assert _resolve(tmp_path / "own", done.out.strip()) is not None
    grant_id = regate("grants", "list", "--config", "regate.yaml").out.splitlines()[1].split()[0]
    assert regate("grants", "revoke", grant_id, "--config", "regate.yaml").out == f"{grant_id} revoked\n"
    assert _resolve(tmp_path / "own", done.out.strip()) is None


def test_create_of_an_id_that_the_settings_give_is_refused(regate: Regate) -> None:
    grants = "grants: {ci: {server: git, policy: p, token_env: T}}\n"
    text = f"servers: {{git: {{command: [x]}}}}\npolicies: {{p: {{file: p.json}}}}\n{grants}"
    Path("regate.yaml").write_text(text, encoding="utf-8")
    create = ("grants", "create", "--config", "regate.yaml", "--server", "git", "--policy", "p", "--id")
    done = regate(*create, "ci")
    assert (done.code, done.out) == (2, "")
    assert "--id: regate.yaml gives a grant of that id already" in done.err
    assert regate(*create, "other").code == 0


def test_list_shows_grants_and_revoked_ones(regate: Regate) -> None:
    for id_ in ("a", "b"):
        regate("grants", "create", "--server", "git", "--policy", "p", "--id", id_)
    assert regate("grants", "revoke", "b").out == "b revoked\n"
    heads, first, second = (line.split() for line in regate("grants", "list").out.splitlines())
    assert heads == ["ID", "SERVER", "POLICY", "LIST", "METHODS", "HIDDEN", "APPROVAL", "CREATED", "REVOKED"]
    assert (first[:7], first[8]) == (["a", "git", "p", "hidden", "tools", "denied", "later"], "-")
    assert (second[:7], second[8][-1]) == (["b", "git", "p", "hidden", "tools", "denied", "later"], "Z")


def test_create_binds_the_policy_with_its_options(regate: Regate, tmp_path: Path) -> None:
    options = ("--list", "callable", "--policed-methods", "all", "--hidden-calls", "unknown", "--approval", "wait")
    token = regate("grants", "create", "--server", "git", "--policy", "p", "--id", "ci", *options).out.strip()
    grant = _resolve(tmp_path / "state", token)
    assert grant is not None
    assert (grant.list, grant.policed_methods, grant.hidden_calls, grant.approval) == (
        *("callable", "all", "unknown", "wait"),
    )


def test_revoke_makes_the_token_worthless(regate: Regate, tmp_path: Path) -> None:
    token = regate("grants", "create", "--server", "git", "--policy", "p", "--id", "ci").out.strip()
    regate("grants", "revoke", "ci")
    assert _resolve(tmp_path / "state", token) is None


def test_revoke_of_what_is_not_there_is_refused(regate: Regate) -> None:
    regate("grants", "create", "--server", "git", "--policy", "p", "--id", "ci")
    done = regate("grants", "revoke", "other")
    assert done.code == 1
    assert done.err.startswith("regate: there is no valid grant other\n")
