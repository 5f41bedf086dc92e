"""What is asked of a Docker daemon: containers made, started and removed. Calls block; no message is read.

The package `docker` is loaded here and nowhere else, and only when a server is an image. The environment of a container
goes through the daemon's API: it is on no command line, and in none of the errors told here.
"""

import importlib.util
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sidecar.errors import SettingsError, SidecarError, Unreachable
from sidecar.upstream import leases

LABEL = "dev.regate.gateway"
SERVER_LABEL = "dev.regate.server"

_NOBODY = "65532:65532"
_TIMEOUT_S = 60.0
_REMOVED_S = 30.0
_REASON_CHARACTERS = 300
_SHORTEST_SECRET = 4
_NO_DAEMON = "Start Docker, or set DOCKER_HOST; see that this user may use it (`docker info`)."


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or volume of the machine's, as the container sees it."""

    source: str
    target: str
    writable: bool = False

    @property
    def is_folder(self) -> bool:
        """Is it a folder, and not the name of a volume?"""
        return self.source.startswith("/")


@dataclass(frozen=True, slots=True)
class Spec:
    """A container, as an operator may shape it. What is not said here is as closed as Docker can make it."""

    image: str
    arguments: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    network: str = "none"
    mounts: Sequence[Mount] = ()
    user: str | None = None
    memory_mb: int = 512
    cpus: float = 1.0
    pids: int = 256


@dataclass(frozen=True, slots=True)
class Running:
    """A started container. `streams` carries its input one way and its output, in frames, the other."""

    streams: socket.socket
    end: Any

    def wait(self) -> int | None:
        """Its exit code, once it has one; None where that cannot be known. Blocks."""
        try:
            for event in self.end:
                return int(event["Actor"]["Attributes"]["exitCode"])
        except Exception:
            return None
        finally:
            _close(self.end)
        return None


def is_somebody(user: str) -> bool:
    """Whether the user of an image is not root; Docker reads numbers as lax as Go does."""
    name = user.partition(":")[0]
    return name not in ("", "root") and name.lstrip("+-").strip("0") != ""


def require_package() -> None:
    """Raises: SettingsError where the package `docker` is missing."""
    if importlib.util.find_spec("docker") is None:
        raise SettingsError(
            "A server in a container needs the package docker, which is not installed.",
            hint="pip install 'regate[docker]'",
        )


class Daemon:
    """The daemon that DOCKER_HOST names, or this machine's."""

    def __init__(self) -> None:
        import docker
        import docker.errors

        self._errors = docker.errors
        with self._told({}):
            self._client: Any = docker.from_env(timeout=_TIMEOUT_S)
        if not self._client.api.base_url.startswith(("http+docker://localhost", "http://")):
            raise Unreachable(
                "DOCKER_HOST names a daemon that is reached over TLS or ssh; containers can be spoken to over unix:// "
                "and tcp:// only.",
                hint="Run regate beside that daemon, or forward its socket (ssh -L).",
            )

    def check(self, image: str) -> None:
        """Raises: Unreachable (no daemon, or no such image)."""
        with self._told({}, image):
            self._client.images.get(image)

    def create(self, spec: Spec, server: str, lease: str) -> Any:
        """A container that is not started yet. Raises: Unreachable."""
        from docker.types import Mount as DockerMount

        with self._told(spec.env, spec.image):
            user = spec.user or self._user(spec.image)
            return self._client.containers.create(
                spec.image,
                list(spec.arguments) or None,
                environment=dict(spec.env),
                labels={LABEL: lease, SERVER_LABEL: server},
                user=user,
                stdin_open=True,
                tty=False,
                auto_remove=True,
                read_only=True,
                tmpfs={"/tmp": "rw,nosuid,nodev,mode=1777,size=64m"},  # noqa: S108 - in the container
                cap_drop=["ALL"],
                security_opt=["no-new-privileges:true"],
                network_mode=spec.network,
                mem_limit=f"{spec.memory_mb}m",
                memswap_limit=f"{spec.memory_mb}m",
                nano_cpus=int(spec.cpus * 1e9),
                pids_limit=spec.pids,
                ipc_mode="private",
                log_config={"Type": "none"},
                use_config_proxy=False,
                mounts=[
                    DockerMount(m.target, m.source, type="bind" if m.is_folder else "volume", read_only=not m.writable)
                    for m in spec.mounts
                ],
            )

    def start(self, container: Any, spec: Spec) -> "Running":
        """Starts it. Raises: Unreachable."""
        with self._told(spec.env, spec.image):
            end = self._client.events(decode=True, filters={"container": [container.id], "event": ["die"]})
            try:
                streams = self._attached(container)
                try:
                    container.start()
                except BaseException:
                    streams.close()
                    raise
            except BaseException:
                _close(end)
                self.remove(container)
                raise
        return Running(streams, end)

    def _attached(self, container: Any) -> socket.socket:
        wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        attached = self._client.api.attach_socket(container.id, params=wanted)
        try:
            return socket.socket(fileno=os.dup(attached.fileno()))
        finally:
            attached._response.close()
            attached.close()

    def kill(self, container: Any, signal: str) -> None:
        """Signals its first process, if it still runs."""
        with self._unless_gone():
            container.kill(signal)

    def remove(self, container: Any) -> None:
        """Ends and removes it, if it is still there."""
        with self._unless_gone():
            container.remove(force=True, v=True)
        with self._unless_gone():  # Docker itself may be at it
            self._client.api.wait(container.id, timeout=_REMOVED_S, condition="removed")

    def reap(self, state: Path, told: Callable[[str, str], None]) -> None:
        """Removes the containers of gateways that are dead; `told` hears the server and the id of each.

        Raises: Unreachable.
        """
        for path in leases.known(state):
            with leases.inherited(path) as dead, self._told({}):
                for container in self._of(dead) if dead is not None else ():
                    self.remove(container)
                    told(str(container.labels.get(SERVER_LABEL)), str(container.short_id))

    def _of(self, lease: str) -> list[Any]:
        found: list[Any] = self._client.containers.list(
            all=True, filters={"label": f"{LABEL}={lease}"}, ignore_removed=True
        )
        return found

    def _user(self, image: str) -> str:
        """The image's own user, unless that is root."""
        chosen = str(self._client.images.get(image).attrs["Config"].get("User") or "")
        return chosen if is_somebody(chosen) else _NOBODY

    @contextmanager
    def _unless_gone(self) -> Iterator[None]:
        try:
            yield
        except self._errors.APIError as error:
            if error.response is None or error.response.status_code not in (404, 409):
                raise Unreachable(f"Docker cannot end a container: {_line(error.explanation, {})}") from error
        except OSError as error:
            raise Unreachable("Docker does not answer.", hint=_NO_DAEMON) from error

    @contextmanager
    def _told(self, secret: Mapping[str, str], image: str = "") -> Iterator[None]:
        """Turns what the package raises into one line each."""
        try:
            yield
        except SidecarError:
            raise
        except self._errors.ImageNotFound as error:
            raise Unreachable(f"There is no image {image} here.", hint=f"Get it first: docker pull {image}") from error
        except self._errors.APIError as error:
            reason = _line(error.explanation, secret)
            raise Unreachable(f"Docker refuses to run {image or 'it'}: {reason}") from None
        except (self._errors.DockerException, OSError) as error:
            raise Unreachable("Docker does not answer.", hint=_NO_DAEMON) from error


def _close(events: Any) -> None:
    """The package's own `close` leaves the connection to the garbage collector."""
    with suppress(Exception):
        events.close()
    events._response.close()


def _line(explanation: object, secret: Mapping[str, str]) -> str:
    text = " ".join((explanation if isinstance(explanation, str) else "it gives no reason").split())
    for value in sorted(secret.values(), key=len, reverse=True):
        if len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "…")
    return "".join(mark if mark.isprintable() else " " for mark in text[:_REASON_CHARACTERS])
