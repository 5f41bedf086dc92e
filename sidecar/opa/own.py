"""The OPA that the gateway runs itself: a child, the bundle it is given, and a look at what others put into one."""

import asyncio
import os
import subprocess
import tempfile
from pathlib import Path

import rego
from sidecar.errors import DecisionError
from sidecar.http1 import Origin
from sidecar.opa.bundles import Built, Publisher
from sidecar.opa.client import OpaClient
from sidecar.opa.process import OpaProcess, runtime_directory

_EXAMINE_S = 60.0
_WORDS_CHARACTERS = 600


class OwnOpa:
    """One child and its bundle. `place` before `start`; then `publish`."""

    def __init__(self, binary: Path, *, timeout_s: float) -> None:
        directory = runtime_directory()
        self.name = str(binary)
        self._binary = binary
        self._process = OpaProcess(binary, directory)
        self.client = OpaClient(Origin(socket_path=str(self._process.socket_path)), timeout_s=timeout_s)
        publisher = Publisher(directory, self.client.ask)
        self.place = publisher.place
        self.publish = publisher.publish
        self.held = publisher.held
        self.start = self._process.start

    @property
    def restarts(self) -> int:
        """How often the child had to be started again."""
        return self._process.restarts

    async def publish_examined(self, bundle: Built) -> None:
        """As `publish`, of a bundle made elsewhere: first OPA must find nothing in it that policies may not use.

        Raises: DecisionError.
        """
        await asyncio.to_thread(examine, self._binary, bundle.data)
        await self.publish(bundle)

    async def close(self) -> None:
        """Ends the child."""
        await self.client.close()
        await self._process.stop()


def examine(binary: Path, bundle: bytes) -> None:
    """Returns when the bundle compiles without network, clock, environment and whatever else no policy needs.

    Raises: DecisionError.
    """
    with tempfile.TemporaryDirectory(prefix="regate-") as folder:
        path = Path(folder) / "bundle.tar.gz"
        path.write_bytes(bundle)
        command: list[str | Path] = [binary, "check", "--bundle", path, "--max-errors", "3"]
        command += ["--capabilities", rego.CAPABILITIES]
        try:
            done = subprocess.run(
                command,
                env={"PATH": os.defpath, "HOME": folder},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_EXAMINE_S,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise DecisionError("OPA does not say whether it takes the new bundle.") from error
        if done.returncode != 0:
            said = (done.stderr + done.stdout).decode(errors="replace").replace(str(path), "bundle")
            raise DecisionError(f"OPA does not take the new bundle. {' '.join(said.split())[:_WORDS_CHARACTERS]}")
