"""The conformance suite of the protocol's makers: run, and its results read. Judges nothing."""

import asyncio
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests import npm

HERE = Path(__file__).parent
RUN_S = 400

_SCRIPT = "@modelcontextprotocol/conformance/dist/index.js"
_scenario = re.compile(r"server-(.+)-\d{4}-\d\d-\d\dT[0-9-]+Z").fullmatch


@dataclass(frozen=True, slots=True, order=True)
class Check:
    """What the suite looked at once, and how that went: SUCCESS, FAILURE, WARNING, SKIPPED or INFO."""

    scenario: str
    id: str
    name: str
    status: str
    message: str = ""

    def __str__(self) -> str:
        return f"{self.scenario}: {self.id} ({self.name}): {self.status} {self.message}".rstrip()


def lost(before: Iterable[Check], after: Iterable[Check]) -> list[Check]:
    """What passed before and does not any more, each as it is told afterwards, or as missing.

    A check may be made several times under one name, so they are counted.
    """
    passed, told = Counter(_key(check) for check in before if check.status == "SUCCESS"), list(after)
    missing = passed - Counter(_key(check) for check in told if check.status == "SUCCESS")
    others = {_key(check): check for check in told if check.status != "SUCCESS"}
    return sorted(others.get(key, Check(*key, "MISSING")) for key in missing)


def faults(checks: Iterable[Check]) -> list[Check]:
    """What did not go as the protocol demands or recommends."""
    return sorted(check for check in checks if check.status in ("FAILURE", "WARNING"))


def _key(check: Check) -> tuple[str, str, str]:
    return check.scenario, check.id, check.name


@dataclass(frozen=True, slots=True)
class Suite:
    """The suite as it is installed."""

    packages: npm.Packages

    async def scenarios(self, *of: str) -> set[str]:
        """The server scenarios there are, or those of a revision: `--requirements`, and which."""
        told = (await self._told("list", *(of or ("--server",)))).partition("Client scenarios")
        listed = set(re.findall(r"^  - ([\w-]+)", told[0], re.MULTILINE))
        return listed | set(re.findall(r"^    - ([\w-]+) \[server\]", told[2], re.MULTILINE))

    async def required(self, url: str, revision: str, folder: Path) -> list[Check]:
        """Every check that a revision asks for, made on the server at `url`."""
        await self._told("server", "--url", url, "--requirements", revision, "-o", str(folder))
        return _read(folder)

    async def single(self, url: str, revision: str, folder: Path, scenario: str) -> list[Check]:
        """The checks of one scenario that no revision asks for."""
        only = ("--scenario", scenario, "--spec-version", revision, "--force")
        await self._told("server", "--url", url, *only, "-o", str(folder))
        return _read(folder)

    async def _told(self, *arguments: str) -> str:
        """What it prints. That checks fail is no error here. Raises: TimeoutError."""
        process = await asyncio.create_subprocess_exec(
            *self.packages.command(_SCRIPT, *arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            async with asyncio.timeout(RUN_S):
                return (await process.communicate())[0].decode(errors="replace")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def _read(folder: Path) -> list[Check]:
    found = []
    for file in sorted(folder.glob("*/checks.json")):
        scenario = _scenario(file.parent.name)
        assert scenario is not None, file
        for check in json.loads(file.read_text(encoding="utf-8")):
            said = check.get("errorMessage") or ""
            found.append(Check(scenario[1], check["id"], check["name"], check["status"], said))
    assert found, f"the suite said nothing in {folder}"
    return found


def installed() -> Suite:
    """The suite, fetched if it is not there yet. Raises: npm.Unavailable."""
    return Suite(npm.installed(HERE))
