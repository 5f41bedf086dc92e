"""`make demo`: a real client tours the gateway under the example policy, then under each seed policy.

Every answer is checked; a wrong one is printed as wanted and got, and ends the demo with exit 1.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mcp.shared.exceptions import MCPError

from examples import repository, tour
from examples.gateway import Gateway, NotReady, running
from examples.tour import Allowed, Denied, Fresh, Held, Listed, Step

HERE = Path(__file__).resolve().parent
HUMAN = "Requires human approval."


@dataclass(frozen=True, slots=True)
class Seed:
    """One seed policy, the catalogue of the server it was written for, its tour, and the calls that arrive there."""

    name: str
    catalogue: str
    steps: Sequence[Step]
    arrives: Sequence[str] = ()


def _unlisted(tool: str) -> Denied:
    return Denied(tool, "(default deny)", f'Tool "{tool}" is not permitted by policy')


def _hidden(tool: str) -> Denied:
    return Denied(tool, "(hidden)", f'Tool "{tool}" is hidden by policy')


def _held(tool: str) -> Held:
    return Held(tool, f"/tools/{tool}/deny_if/always", HUMAN, {"request": [{"symbol": "BTCUSDT"}]})


def _ten_a_minute(tool: str) -> list[Step]:
    rule = f"/tools/{tool}/limits/{tool.lower()}_rate"
    message = "Rate limit of 10 per minute reached. Try again later."
    return [Fresh(), Allowed(tool, text=tool, times=10), Denied(tool, rule, message, resets=True)]


AMEND, CREATE, CANCEL, CANCEL_ALL = "wsBatchAmendOrders", "wsBatchCreateOrders", "wsCancelOrder", "wsBatchCancelOrders"

SEEDS = (
    Seed("bybit-wsCancelOrder", "bybit", [Listed(381, [CANCEL]), _hidden(CANCEL), _unlisted("getTickers")]),
    Seed("bybit-wsBatchCancelOrders", "bybit", [Listed(381, [CANCEL_ALL]), _hidden(CANCEL_ALL), _unlisted(CANCEL)]),
    Seed("bybit-wsBatchAmendOrders", "bybit", [Listed(382), *_ten_a_minute(AMEND), _unlisted(CANCEL)], [AMEND] * 10),
    Seed("bybit-wsBatchCreateOrders", "bybit", [Listed(382), _held(CREATE), _unlisted(CANCEL)], [CREATE]),
    Seed("ccxt-cancel_order", "ccxt", [Listed(19), _held("cancel_order"), _unlisted("create_order")], ["cancel_order"]),
    Seed(
        "bybit-merged",
        "bybit",
        [
            Listed(380, [CANCEL, CANCEL_ALL]),
            _hidden(CANCEL),
            _hidden(CANCEL_ALL),
            *_ten_a_minute(AMEND),
            _held(CREATE),
            _unlisted("getTickers"),
        ],
        [AMEND] * 10 + [CREATE],
    ),
)


def git_steps(path: Path) -> list[Step]:
    """The tour of the example policy over a repository at `path`."""
    here = {"repo_path": str(path)}
    limit = "git_status may run three times a minute."
    return [
        Listed(10, ["git_reset", "git_checkout"]),
        Allowed("git_log", {**here, "max_count": 2}, text="greet by name"),
        _with(here, _hidden("git_reset")),
        _with(here, _unlisted("git_create_branch")),
        Denied(
            "git_log",
            "/tools/git_log/deny_if/args.max_count-gt",
            "Ask for at most 20 commits at a time.",
            {**here, "max_count": 500},
        ),
        Fresh(),
        Allowed("git_status", here, text="README.md", times=3),
        Denied("git_status", "/tools/git_status/limits/git_status", limit, here, resets=True),
        Allowed("git_add", {**here, "files": ["README.md"]}),
        Held("git_commit", "/tools/git_commit/deny_if/always", HUMAN, {**here, "message": "docs: one more line"}),
    ]


def _with(arguments: dict[str, str], step: Denied) -> Denied:
    return Denied(step.tool, step.rule, step.message, arguments)


def main() -> int:
    """0 when every answer was the one wanted, else 1."""
    with tempfile.TemporaryDirectory(prefix="regate-demo-") as folder:
        try:
            _git(Path(folder))
            for seed in SEEDS:
                _seed(seed, Path(folder) / seed.name)
        except (tour.Wrong, MCPError, NotReady, subprocess.SubprocessError) as error:
            print(f"\n{error}\nThe demo stopped at the first wrong answer.", file=sys.stderr)
            return 1
    print("\nEvery answer was the one wanted.")
    return 0


def _git(folder: Path) -> None:
    _title("mcp-server-git under examples/git/policy.json")
    path = repository.make(folder / "repository")
    server = ["--", str(Path(sys.executable).with_name("mcp-server-git")), "--repository", str(path)]
    with running(HERE / "git" / "policy.json", server, folder / "git") as gateway:
        asyncio.run(tour.walk(gateway, git_steps(path)))
        _audit(gateway)


def _seed(seed: Seed, folder: Path) -> None:
    _title(f"{seed.catalogue} stand-in under examples/seeds/{seed.name}/policy.json")
    folder.mkdir()
    log = folder / "calls.jsonl"
    catalogue = HERE / "catalogue" / f"{seed.catalogue}-tools.json"
    server = ["--", sys.executable, str(HERE / "stand_in.py"), str(catalogue), "--log", str(log)]
    with running(HERE / "seeds" / seed.name / "policy.json", server, folder) as gateway:
        asyncio.run(tour.walk(gateway, seed.steps))
    arrived = (
        [json.loads(line)["tool"] for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    )
    if arrived != list(seed.arrives):
        raise tour.Wrong(f"at the server: {list(seed.arrives)}", str(arrived))
    print(f"  ok  at the server: {len(arrived)} of these calls, those allowed and no other")


def _audit(gateway: Gateway) -> None:
    print("\n  The audit rows of this tour (`regate audit tail`), argument keys only:\n")
    for row in gateway.regate("audit", "tail").splitlines():
        print(f"  {row}")


def _title(text: str) -> None:
    print(f"\n{text}\n")


if __name__ == "__main__":
    sys.exit(main())
