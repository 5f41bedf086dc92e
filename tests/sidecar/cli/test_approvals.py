import asyncio
import getpass
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sidecar.approvals.sqlite import SqliteApprovals
from sidecar.database import open_database
from sidecar.ports import Answered, ApprovalRequest
from sidecar.statedir import Gateway, announced

Regate = Callable[..., Any]


def _request(**changes: Any) -> ApprovalRequest:
    members: dict[str, Any] = {
        "fingerprint": "f1",
        "server": "git",
        "grant": "ci",
        "tool": "git_commit",
        "argument_keys": ("message", "repo_path"),
        "rule": "/tools/git_commit/deny_if/always",
        "message": "Requires human approval.",
        "policy": "p",
        "revision": "sha256:1",
        "ttl_s": 300,
    }
    return ApprovalRequest(**(members | changes))


def _open(state: Path, request: ApprovalRequest, *, ago: timedelta = timedelta()) -> str:
    async def run() -> str:
        database = open_database(state, "state")
        try:
            return await SqliteApprovals(database).open(request, datetime.now(UTC) - ago)
        finally:
            await database.close()

    return asyncio.run(run())


def _find(state: Path) -> Answered | None:
    async def run() -> Answered | None:
        database = open_database(state, "state")
        try:
            return await SqliteApprovals(database).find("f1", datetime.now(UTC))
        finally:
            await database.close()

    return asyncio.run(run())


def test_list_shows_what_waits_with_keys_only(regate: Regate, tmp_path: Path) -> None:
    id_ = _open(tmp_path / "state", _request())
    done = regate("approvals", "list")
    assert done.code == 0
    row = done.out.splitlines()[1].split("  ")
    assert [cell.strip() for cell in row if cell][:7] == [
        id_,
        "pending",
        "git",
        "ci",
        "git_commit",
        "message,repo_path",
        "Requires human approval.",
    ]


def test_list_as_json_has_all_of_it(regate: Regate, tmp_path: Path) -> None:
    id_ = _open(tmp_path / "state", _request())
    (entry,) = json.loads(regate("approvals", "list", "--format", "json").out)
    assert entry["id"] == id_
    assert entry["state"] == "pending"
    assert entry["argument_keys"] == ["message", "repo_path"]
    assert entry["answered_by"] is None
    assert entry["answered_at"] is None


def test_list_escapes_what_an_agent_named(regate: Regate, tmp_path: Path) -> None:
    _open(tmp_path / "state", _request(tool="x\x1b[2J", argument_keys=("a\n",)))
    done = regate("approvals", "list")
    assert "\x1b" not in done.out
    assert len(done.out.splitlines()) == 2


@pytest.mark.parametrize(("verb", "state"), [("approve", "approved"), ("refuse", "refused")])
def test_answer_is_kept_with_who_gave_it(verb: str, state: str, regate: Regate, tmp_path: Path) -> None:
    id_ = _open(tmp_path / "state", _request())
    done = regate("approvals", verb, id_, "--by", "ann")
    assert done.code == 0
    assert done.out.startswith(f"{id_} {state}")
    found = _find(tmp_path / "state")
    assert found is not None
    assert found.state == state
    assert regate("approvals", "list").out.count("\n") == 1
    (entry,) = json.loads(regate("approvals", "list", "--all", "--format", "json").out)
    assert entry["answered_by"] == "ann"
    assert entry["answered_at"].endswith("Z")


def test_answer_without_a_name_is_the_users(regate: Regate, tmp_path: Path) -> None:
    regate("approvals", "refuse", _open(tmp_path / "state", _request()), "--reason", "not today")
    (entry,) = json.loads(regate("approvals", "list", "--all", "--format", "json").out)
    assert (entry["answered_by"], entry["reason"]) == (getpass.getuser(), "not today")


def test_answer_of_a_user_without_a_name_is_unknown(
    regate: Regate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise KeyError

    monkeypatch.setattr(getpass, "getuser", nobody)
    regate("approvals", "approve", _open(tmp_path / "state", _request()))
    (entry,) = json.loads(regate("approvals", "list", "--all", "--format", "json").out)
    assert entry["answered_by"] == "unknown"


def test_answer_twice_unknown_and_too_late_are_refused(regate: Regate, tmp_path: Path) -> None:
    id_ = _open(tmp_path / "state", _request())
    late = _open(tmp_path / "state", _request(fingerprint="f2"), ago=timedelta(seconds=301))
    assert regate("approvals", "approve", id_).code == 0
    for arguments, message in (
        (("refuse", id_), f"approval {id_} was answered before"),
        (("approve", "apr_x"), "there is no approval apr_x"),
        (("approve", late), f"approval {late} has lapsed"),
    ):
        done = regate("approvals", *arguments)
        assert (done.code, done.out) == (1, "")
        assert message in done.err


def test_list_of_a_gateway_with_redis_is_refused_without_its_settings(regate: Regate, tmp_path: Path) -> None:
    _open(tmp_path / "state", _request())
    with announced(tmp_path / "state", Gateway("http://127.0.0.1:1", os.getpid(), shares=True)):
        done = regate("approvals", "list")
    assert done.code == 1
    assert "keeps its approvals in a Redis" in done.err
    assert "--config" in done.err
    assert regate("approvals", "list").code == 0
