"""The state's disk full, files and connections used up: nothing passes uncounted, and service comes back by itself."""

import contextlib
import http.client
import json
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.served import HEADERS, Served, call, eventually, serving


class Caller:
    """A client on one connection that stays, and how many of its calls were let through."""

    def __init__(self, gateway: Served) -> None:
        url = httpx.URL(gateway.url)
        self._connection = http.client.HTTPConnection(url.host, url.port, timeout=60)
        self._path = url.path
        self.allowed = 0

    def call(self, tool: str = "quick") -> dict[str, Any]:
        headers = {**HEADERS, "content-type": "application/json"}
        self._connection.request("POST", self._path, json.dumps(call(tool)), headers)
        answer: dict[str, Any] = json.loads(self._connection.getresponse().read())
        self.allowed += is_allowed(answer)
        return answer

    def close(self) -> None:
        self._connection.close()


def is_allowed(answer: dict[str, Any]) -> bool:
    return "result" in answer and not answer["result"].get("isError")


def is_unavailable(answer: dict[str, Any]) -> bool:
    meta = answer.get("result", {}).get("_meta", {}).get("dev.regate/decision", {})
    return meta.get("rule") == "(unavailable)"


def reached(gateway: Served) -> int:
    return sum(line.startswith("tools/call") for line in gateway.reached())


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own, a few megabytes large."""
    folder.mkdir(parents=True)
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or unmount is None:
        pytest.skip("only root can make a file system that is full")
    options = ["-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(folder)]
    if subprocess.run([mount, *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run([unmount, "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Takes all the space that is left."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)


def test_disk_full_denies_every_call_and_serves_again_when_there_is_space(tmp_path: Path, opa_path: Path) -> None:
    with small_disk(tmp_path / "state"), serving(tmp_path, opa_path) as gateway:
        caller = Caller(gateway)
        assert is_allowed(caller.call())
        ballast = tmp_path / "state" / "ballast"
        fill(ballast)
        eventually(lambda: is_unavailable(caller.call()))
        eventually(lambda: is_unavailable(caller.call("nope")))
        ready = httpx.get(f"{gateway.base}/readyz")
        assert ready.status_code == 503
        assert "cannot be written" in " ".join(ready.json()["reasons"])
        before = reached(gateway)
        for _ in range(20):
            assert is_unavailable(caller.call())
        assert reached(gateway) == before == caller.allowed
        ballast.unlink()
        eventually(lambda: is_allowed(caller.call()))
        eventually(lambda: httpx.get(f"{gateway.base}/readyz").status_code == 200)
        caller.close()
        assert reached(gateway) == caller.allowed
        eventually(lambda: sum(row["outcome"] == "allow" for row in gateway.rows()) == caller.allowed)


def test_files_used_up_let_nothing_pass_and_service_comes_back(tmp_path: Path, opa_path: Path) -> None:
    with serving(tmp_path, opa_path) as gateway:
        caller = Caller(gateway)
        assert is_allowed(caller.call())
        _, most = before = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (3, most))
        eventually(lambda: not is_allowed(caller.call()))
        assert reached(gateway) == caller.allowed
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, before)
        eventually(lambda: is_allowed(caller.call()))
        eventually(lambda: httpx.get(f"{gateway.base}/readyz", timeout=60).status_code == 200)
        caller.close()
        assert reached(gateway) == caller.allowed
        eventually(lambda: sum(row["result"] == "result" for row in gateway.rows()) == caller.allowed)


def test_connections_beyond_the_files_are_let_go_and_later_ones_served(tmp_path: Path, opa_path: Path) -> None:
    with serving(tmp_path, opa_path) as gateway:
        pid = gateway.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = max(int(file.name) for file in Path(f"/proc/{pid}/fd").iterdir())
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 20, before[1]))
        with contextlib.ExitStack() as crowd:
            callers = [Caller(gateway) for _ in range(60)]
            for caller in callers:
                crowd.callback(caller.close)
            answered = 0
            for caller in callers:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    caller.call("nope")
                    answered += 1
            assert 0 < answered < len(callers)
        last = Caller(gateway)

        def serves() -> bool:
            with contextlib.suppress(OSError, http.client.HTTPException):
                return is_allowed(last.call())
            last.close()
            return False

        eventually(serves)
        last.close()
        assert reached(gateway) == last.allowed
