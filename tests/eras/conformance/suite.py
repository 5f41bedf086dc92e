"""The conformance suite of the protocol's makers: fetched by npm, run by Node, its results read. Judges nothing.

Versions and hashes are those of package-lock.json, which names no registry: npm asks the one it is set up for.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
NODE = 22
"""The oldest major version of Node that the suite runs on."""
INSTALL_S = 300
RUN_S = 120

_SCRIPT = "@modelcontextprotocol/conformance/dist/index.js"
_scenario = re.compile(r"server-(.+)-\d{4}-\d\d-\d\dT[0-9-]+Z").fullmatch
_ours = ("EINTEGRITY", "EUSAGE", "EJSONPARSE")


class Unavailable(Exception):
    """The suite cannot be had here; the message says why."""


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

    node: Path
    script: Path

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
            self.node, self.script, *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
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


def installed(cache: Path) -> Suite:
    """The suite, fetched into `cache` if it is not there yet. Raises: Unavailable."""
    own = _own_node()
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    home = cache / f"conformance-{lock}{'' if own else '-node'}"
    with _alone(cache):
        if not (home / "node_modules").exists():
            _install(home, with_node=own is None)
    modules = home / "node_modules"
    node = own or next((path for path in modules.glob("node-*-*/bin/node")), None)
    if node is None:
        raise Unavailable(f"Node {NODE} or newer is needed, and npm has none for this machine.")
    return Suite(node, modules / _SCRIPT)


def _own_node() -> Path | None:
    """The machine's Node, if it is new enough."""
    node = shutil.which("node")
    if node is None:
        return None
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = re.match(r"v(\d+)\.", told)
    return Path(node) if major is not None and int(major[1]) >= NODE else None


def _install(home: Path, *, with_node: bool) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("There is no npm here, which the conformance suite comes by.")
    with tempfile.TemporaryDirectory(dir=home.parent) as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", *([] if with_node else ["--omit=optional"])]
        env = {**os.environ, "npm_config_cache": str(Path(folder, "npm")), "npm_config_update_notifier": "false"}
        try:
            done = subprocess.run(
                [npm, "ci", *options],
                cwd=folder,
                env=env,
                capture_output=True,
                text=True,
                timeout=INSTALL_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"npm could not fetch the conformance suite within {INSTALL_S} s.") from None
        if done.returncode != 0:
            assert not any(code in done.stderr for code in _ours), done.stderr
            code = re.search(r"npm error code (\w+)", done.stderr)
            raise Unavailable(f"npm could not fetch the conformance suite: {code[1] if code else done.stderr[:500]}.")
        home.mkdir(exist_ok=True)
        Path(folder, "node_modules").rename(home / "node_modules")


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Nobody else installs meanwhile."""
    cache.mkdir(parents=True, exist_ok=True)
    lock = os.open(cache / "conformance.lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
