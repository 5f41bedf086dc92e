import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import SettingsError, Unreachable
from sidecar.upstream import dockerd
from sidecar.upstream.dockerd import LABEL, Daemon, Mount, Spec, is_somebody, require_package
from sidecar.upstream.leases import Lease, known

VOLUME = "regate-test-kept"

pytestmark = [
    # The package leaves a socket that could not be connected to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def daemon(python_image: str) -> Iterator[Daemon]:
    daemon = Daemon()
    yield daemon
    daemon._client.close()


@pytest.fixture
def made(daemon: Daemon, python_image: str) -> Iterator[Any]:
    containers = []

    def make(*arguments: str, lease: str = "test", **members: Any) -> Any:
        containers.append(daemon.create(Spec(python_image, arguments, **members), "s", lease))
        return containers[-1]

    yield make
    for container in containers:
        daemon.remove(container)
    for volume in daemon._client.volumes.list(filters={"name": VOLUME}):
        volume.remove()


def test_container_is_as_closed_as_docker_can_make_it(made: Any, tmp_path: Path) -> None:
    container = made("python3", env={"A": "b"}, mounts=[Mount(str(tmp_path), "/data"), Mount(VOLUME, "/kept", True)])
    attrs, host = container.attrs, container.attrs["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["AutoRemove"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["NetworkMode"] == "none"
    assert (host["Memory"], host["MemorySwap"]) == (512 << 20, 512 << 20)
    assert (host["NanoCpus"], host["PidsLimit"]) == (10**9, 256)
    assert list(host["Tmpfs"]) == ["/tmp"]
    assert not host["Privileged"]
    assert attrs["Config"]["User"] == "65532:65532"
    assert attrs["Config"]["StdinOnce"]
    assert not attrs["Config"]["Tty"]
    assert sorted((m["Destination"], m["RW"]) for m in attrs["Mounts"]) == [("/data", False), ("/kept", True)]


def test_container_is_opened_only_as_far_as_asked(made: Any) -> None:
    container = made("python3", network="bridge", user="0", memory_mb=64, cpus=0.5, pids=9)
    host = container.attrs["HostConfig"]
    assert (host["NetworkMode"], container.attrs["Config"]["User"]) == ("bridge", "0")
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (64 << 20, 5 * 10**8, 9)
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]


def test_container_is_not_told_of_the_proxies_of_whoever_runs_the_gateway(
    python_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their URLs hold passwords."""
    proxies = {"default": {"httpProxy": "http://me:secret@proxy:1", "httpsProxy": "http://me:secret@proxy:1"}}
    (tmp_path / "config.json").write_text(json.dumps({"proxies": proxies}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    daemon = Daemon()
    container = daemon.create(Spec(python_image, ["python3"]), "s", "test")
    try:
        assert "secret" not in str(container.attrs["Config"]["Env"])
    finally:
        daemon.remove(container)
        daemon._client.close()


@pytest.mark.parametrize("root", ["0", "00", "+0", "root", "0:0", ""])
def test_image_whose_user_is_root_runs_as_nobody(root: str) -> None:
    assert not is_somebody(root)
    assert is_somebody("app")
    assert is_somebody("1000:0")


def test_image_that_is_not_here_is_one_clear_line_and_never_pulled(daemon: Daemon) -> None:
    with pytest.raises(Unreachable, match=r"^There is no image nobody/nothing:1 here\.$") as told:
        daemon.create(Spec("nobody/nothing:1"), "s", "test")
    assert told.value.hint == "Get it first: docker pull nobody/nothing:1"
    with pytest.raises(Unreachable, match="There is no image"):
        daemon.check("nobody/nothing:1")


def test_program_that_is_not_in_the_image_is_one_clear_line_without_what_the_environment_holds(
    daemon: Daemon, python_image: str, made: Any
) -> None:
    spec = Spec(python_image, ("/no/such/s3cret-value",), {"KEY": "s3cret-value"})
    container = daemon.create(spec, "s", "test")
    with pytest.raises(Unreachable) as told:
        daemon.start(container, spec)
    assert str(told.value).startswith(f"Docker refuses to run {python_image}: ")
    assert "no such file" in str(told.value)
    assert "s3cret" not in f"{told.value!r} {told.value.hint} {told.value.__cause__}"
    assert "\n" not in str(told.value)
    assert container.id not in [each.id for each in daemon._client.containers.list(all=True)]


def test_folder_that_is_not_there_is_one_clear_line(daemon: Daemon, python_image: str) -> None:
    with pytest.raises(Unreachable, match=r"Docker refuses to run .*: .*bind source path does not exist"):
        daemon.create(Spec(python_image, mounts=[Mount("/no/such/folder", "/data")]), "s", "test")


@pytest.mark.parametrize("host", ["unix:///no/such/docker.sock", "tcp://127.0.0.1:1"])
def test_daemon_that_does_not_answer_is_one_clear_line(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(Unreachable, match=r"^Docker does not answer\.$"):
        Daemon().check("x")


def test_package_that_is_missing_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    require_package()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(SettingsError, match="needs the package docker") as told:
        require_package()
    assert told.value.hint == "pip install 'regate[docker]'"
    assert dockerd.importlib.util is importlib.util


def test_reaping_takes_the_containers_of_the_dead_and_of_nobody_else(daemon: Daemon, made: Any, tmp_path: Path) -> None:
    living, dead = Lease(tmp_path), Lease(tmp_path)
    for lease in (living, dead):
        made("python3", "-c", "import time; time.sleep(600)", lease=lease.name).start()
    foreign = made("python3", "-c", "import time; time.sleep(600)", lease="another state directory's")
    dead.release()
    told: list[tuple[str, str]] = []
    daemon.reap(tmp_path, lambda *entry: told.append(entry))
    labels = [each.labels.get(LABEL) for each in daemon._client.containers.list(all=True, ignore_removed=True)]
    assert dead.name not in labels
    assert {living.name, foreign.labels[LABEL]} <= set(labels)
    assert [server for server, _ in told] == ["s"]
    assert [path.stem for path in known(tmp_path)] == [living.name]
    living.release()


def test_container_that_is_gone_is_ended_and_removed_in_silence(daemon: Daemon, made: Any) -> None:
    container = made("python3")
    daemon.kill(container, "SIGTERM")
    daemon.remove(container)
    daemon.remove(container)
    daemon.kill(container, "SIGTERM")
