"""Obtains the pinned OPA: the official release with its published digest, else `go install`.

Nothing here looks for an OPA that is already there. A file whose digest is wrong is never kept and never run.
"""

import hashlib
import hmac
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.errors import OpaMissing

if TYPE_CHECKING:
    import httpx

PINNED = "1.22.0"
DOWNLOADS = "https://openpolicyagent.org/downloads"
DOWNLOADS_VARIABLE = "REGATE_OPA_DOWNLOADS"

Say = Callable[[str], None]
Fault = Callable[[Path], str | None]

_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_ASSETS = {
    ("linux", "amd64"): "opa_linux_amd64_static",
    ("linux", "arm64"): "opa_linux_arm64_static",
    ("darwin", "amd64"): "opa_darwin_amd64",
    ("darwin", "arm64"): "opa_darwin_arm64_static",
}
_DIGEST = re.compile(rb"([0-9A-Fa-f]{64})(?:\s.*)?", re.DOTALL)
_DIGEST_FILE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long and how large obtaining may get. `wait_s` bounds the connection and each silence after it."""

    wait_s: float = 10.0
    download_s: float = 300.0
    size_bytes: int = 256 * 1024 * 1024
    build_s: float = 1800.0


class WrongDigest(OpaMissing):
    """The file is not the one whose digest is published."""

    code = "opa_wrong_digest"


def system() -> tuple[str, str]:
    """This machine's (os, arch) as release files spell them; unknown names stay as they are."""
    machine = platform.machine().lower()
    return platform.system().lower(), _MACHINES.get(machine, machine)


def obtain(target: Path, say: Say, fault: Fault, bounds: Bounds | None = None) -> None:
    """Puts a pinned OPA that runs here at `target`, in one step: the whole file or none.

    `fault` tells what is wrong with a binary, or None. Raises: OpaMissing, with every reason.
    """
    bounds = bounds or Bounds()
    reasons = []
    for way, name in ((download, "the download"), (go_install, "go install")):
        try:
            way(target, say, fault, bounds)
            return
        except WrongDigest as error:
            say(f"WARNING: {error} It was thrown away and not run.")
            reasons.append(str(error))
        except OpaMissing as error:
            say(f"OPA {PINNED} by {name}: {error}")
            reasons.append(str(error))
    raise OpaMissing(
        f"No usable OPA, and {PINNED} cannot be had. {' '.join(reasons)}",
        hint=f"Put OPA {PINNED} or a newer 1.x on PATH, or name one in REGATE_OPA; or open the way to "
        f"{DOWNLOADS}; or install Go, so that it can be built.",
    )


def download(target: Path, say: Say, fault: Fault, bounds: Bounds) -> None:
    """Installs the official release after its digest has been checked. Raises: OpaMissing, WrongDigest."""
    import httpx  # a quarter of a second that most starts do not need

    asset = _ASSETS.get(system())
    if asset is None:
        raise OpaMissing(f"OPA has no release for {'/'.join(system())}.")
    base = os.environ.get(DOWNLOADS_VARIABLE) or DOWNLOADS
    url = f"{base.rstrip('/')}/v{PINNED}/{asset}"
    say(f"Fetching OPA {PINNED} from {_shown(url)}")
    timeout = httpx.Timeout(bounds.wait_s)
    try:
        with (
            httpx.Client(timeout=timeout, follow_redirects=True, headers={"Accept-Encoding": "identity"}) as client,
            _scratch(target) as file,
        ):
            end = time.monotonic() + bounds.download_s
            wanted = _published_digest(client, f"{url}.sha256", end)
            _fetch(client, url, file, bounds.size_bytes, end)
            with file.open("rb") as content:
                got = hashlib.file_digest(content, "sha256").hexdigest()
            if not hmac.compare_digest(got, wanted):
                raise WrongDigest(f"The file at {_shown(url)} has the SHA-256 {got}; published is {wanted}.")
            _install(file, target, fault)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise OpaMissing(f"{_shown(url)} cannot be fetched: {str(error) or type(error).__name__}.") from error
    except OSError as error:
        raise OpaMissing(f"Fetching into {target.parent} failed: {error.strerror}.") from error
    say(f"OPA {PINNED} is in {target}; its SHA-256 is the published one.")


def go_install(target: Path, say: Say, fault: Fault, bounds: Bounds) -> None:
    """Installs an OPA built by `go install`, whose sources Go checks against its checksum database.

    Raises: OpaMissing.
    """
    go = shutil.which("go")
    if go is None:
        raise OpaMissing("Go is not on PATH.")
    say(f"Building OPA {PINNED} with go install; this takes a few minutes.")
    environment = {name: value for name, value in os.environ.items() if name not in ("GOOS", "GOARCH")}
    try:
        with tempfile.TemporaryDirectory(prefix=".go-", dir=target.parent) as directory:
            done = subprocess.run(
                [go, "install", f"github.com/open-policy-agent/opa@v{PINNED}"],
                env=environment | {"CGO_ENABLED": "0", "GOBIN": directory},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=bounds.build_s,
                check=False,
            )
            if done.returncode != 0:
                raise OpaMissing(f"go install failed: {_last_line(done.stderr)}")
            _install(Path(directory) / "opa", target, fault)
    except subprocess.TimeoutExpired as error:
        raise OpaMissing(f"go install did not end within {bounds.build_s:g} s.") from error
    except OSError as error:
        raise OpaMissing(f"go install left no binary: {error.strerror}.") from error
    say(f"OPA {PINNED} is in {target}; built by go install.")


def _published_digest(client: "httpx.Client", url: str, end: float) -> str:
    content = b"".join(_chunks(client, url, _DIGEST_FILE_BYTES, end))
    found = _DIGEST.fullmatch(content)
    if found is None:
        raise OpaMissing(f"{_shown(url)} holds no SHA-256 digest.")
    return found[1].decode().lower()


def _fetch(client: "httpx.Client", url: str, file: Path, size_bytes: int, end: float) -> None:
    with file.open("wb") as content:
        for chunk in _chunks(client, url, size_bytes, end):
            content.write(chunk)
        content.flush()
        os.fsync(content.fileno())


def _chunks(client: "httpx.Client", url: str, limit_bytes: int, end: float) -> Iterator[bytes]:
    size = 0
    with client.stream("GET", url) as response:
        if url.startswith("https:") and response.url.scheme != "https":
            raise OpaMissing(f"{_shown(url)} leads to an address without TLS.")
        if response.status_code != 200:
            raise OpaMissing(f"{_shown(url)} answers with status {response.status_code}.")
        for chunk in response.iter_raw(65536):
            size += len(chunk)
            if size > limit_bytes:
                raise OpaMissing(f"{_shown(url)} is larger than {limit_bytes} bytes.")
            if time.monotonic() > end:
                raise OpaMissing(f"{_shown(url)} comes too slowly.")
            yield chunk


def _shown(url: str) -> str:
    """The URL without the credentials that a mirror's may carry."""
    return re.sub(r"//[^/]*@", "//", url)


@contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(prefix=".opa-", dir=target.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _install(file: Path, target: Path, fault: Fault) -> None:
    file.chmod(0o755)
    reason = fault(file)
    if reason is not None:
        raise OpaMissing(f"What came {reason}.")
    file.replace(target)


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else "it says nothing."
