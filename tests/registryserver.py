"""A real OCI registry of the tests' own (distribution), on a free port, in a folder of its own."""

import http.client
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

USERNAME, PASSWORD = "ci", "s3cret-word"
_BCRYPT = "$2b$04$SgDijSZ43cVdosBPrO9y2e9hBNBzEOKBKV4qBtZw22lR8X1KIhN8u"
_OWN = Path(__file__).parents[1] / ".cache" / "registry" / "registry"


def binary() -> str:
    """The registry's binary; without one, the test is skipped."""
    found = shutil.which("docker-registry") or (str(_OWN) if _OWN.exists() else None)
    if found is None:
        pytest.skip("There is no OCI registry here: apt-get install docker-registry, or sh scripts/registry.sh")
    return found


class RegistryServer:
    """One registry. With `closed` it asks for the name and the password."""

    def __init__(self, folder: Path, *, closed: bool = False) -> None:
        folder.mkdir()
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            self.port: int = listening.getsockname()[1]
        (folder / "htpasswd").write_text(f"{USERNAME}:{_BCRYPT}\n")
        auth = f"auth: {{htpasswd: {{realm: r, path: {folder / 'htpasswd'}}}}}\n" if closed else ""
        (folder / "config.yml").write_text(
            f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\n"
            f"http: {{addr: '127.0.0.1:{self.port}', secret: x}}\n{auth}"
        )
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen([binary(), "serve", folder / "config.yml"], stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, "the registry does not answer"
            time.sleep(0.05)

    def url(self, name: str) -> str:
        return f"oci://127.0.0.1:{self.port}/{name}"

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status in (200, 401)
        except OSError:
            return False
        finally:
            connection.close()
