"""The image with its counters in Redis, and its policies from a bundle server: what goes wrong there stays closed."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.images.pod import POLICY, ROOT, SAMPLE, Agent, Pod, eventually, pod, ready, settings, write

DEBIAN = "regate-test/debian"
PAY = ("pay", {"to": "ann", "amount": 5})
LOOK = ("balance", {})


@pytest.fixture(scope="module")
def debian_image(python_image: str) -> str:
    """A Debian with a Redis."""
    done = subprocess.run(
        ["sh", str(ROOT / "deploy" / "docker" / "base.sh"), "debian"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return DEBIAN


@pytest.fixture
def made(regate_image: str, sample_image: str) -> Iterator[tuple[Pod, Agent]]:
    with pod() as made:
        made.add(SAMPLE, read_only=True, tmpfs={"/tmp": ""})
        agent = Agent(made)
        eventually(lambda: _serves(agent), "the sample server serves")
        yield made, agent


def _serves(agent: Agent) -> bool:
    try:
        return agent.reached() is not None
    except AssertionError:
        return False


def test_redis_that_is_gone_denies_what_is_counted_and_counts_on_when_it_is_back(
    made: tuple[Pod, Agent], debian_image: str, tmp_path: Path
) -> None:
    pod, agent = made
    command = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--dir", "/var/lib/redis"]
    redis = pod.add(debian_image, *command, entrypoint=["redis-server"], tmpfs={}, volumes={})
    pod.gateway(write(tmp_path / "etc", settings(redis={"url": "redis://127.0.0.1:6379"})))
    assert agent.does(PAY, PAY)[1] == [[False, "paid 5 to ann"]] * 2
    redis.kill("SIGKILL")
    redis.wait(timeout=60)
    answers = agent.does(PAY, LOOK)[1]
    assert [failed for failed, _ in answers] == [True, False]
    assert agent.reached()["pay"] == 2
    redis.start()
    eventually(lambda: not agent.does(PAY)[1][0][0], "Redis is back")
    assert [failed for failed, _ in agent.does(PAY)[1]] == [True]
    assert agent.reached()["pay"] == 3


Publish = Callable[[bytes], None]


@pytest.fixture
def served(made: tuple[Pod, Agent], tmp_path: Path) -> tuple[Publish, Path]:
    """A server of bundles in the pod: a function that publishes one, and a folder with the key."""
    folder = tmp_path / "bundles"
    folder.mkdir()
    folder.chmod(0o755)
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True)
    etc = tmp_path / "etc"
    etc.mkdir()
    subprocess.run(
        ["openssl", "ec", "-in", key, "-pubout", "-out", etc / "public.pem"], check=True, capture_output=True
    )
    (etc / "public.pem").chmod(0o644)
    volumes = {str(folder): {"bind": "/bundles", "mode": "ro"}}
    command = ["-m", "http.server", "8080", "--bind", "127.0.0.1", "--directory", "/bundles"]
    made[0].add(SAMPLE, *command, entrypoint=["python"], volumes=volumes, read_only=True)

    def publish(data: bytes) -> None:
        part = folder / "part"
        part.write_bytes(data)
        part.chmod(0o644)
        part.rename(folder / "p.tar.gz")

    return publish, etc


def bundle(tmp_path: Path, serial: int, policy: Any, *, signed: bool = True) -> bytes:
    """What `regate build` makes."""
    write(tmp_path / "policies", {}, policy)
    (tmp_path / "policies" / "policy.json").rename(tmp_path / "policies" / "p.json")
    out = tmp_path / "out.tar.gz"
    command = [sys.executable, "-m", "sidecar", "build", str(tmp_path / "policies" / "p.json"), "-o", str(out)]
    command += ["--serial", str(serial)]
    if signed:
        command += ["--sign", str(tmp_path / "key.pem"), "--alg", "ES256"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out.read_bytes()


def huge() -> bytes:
    """Small on the wire, and more than anybody can take once it is unpacked."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=9) as archive:
        entry = tarfile.TarInfo("/data.json")
        entry.size = 600_000_000
        archive.addfile(entry, _Zeros())  # type: ignore[arg-type]
    return out.getvalue()


class _Zeros:
    def read(self, size: int = -1) -> bytes:
        return b" " * size


def test_bundles_that_are_older_unsigned_broken_or_huge_change_nothing(
    made: tuple[Pod, Agent], served: tuple[Publish, Path], tmp_path: Path
) -> None:
    pod, agent = made
    publish, etc = served
    opened = POLICY | {"default": "allow", "hide": []}
    good = bundle(tmp_path, 7, POLICY)
    publish(good)
    given = settings(
        policies={}, bundle={"url": "http://127.0.0.1:8080/p.tar.gz", "keys": [{"file": "public.pem", "alg": "ES256"}],
                             "poll_s": 1, "wait_s": 0}
    )  # fmt: skip
    gateway = pod.gateway(write(etc, given))
    refund = ("refund", {"to": "ann", "amount": 1})

    def judged() -> list[bool]:
        return [failed for failed, _ in agent.does(LOOK, refund)[1]]

    assert judged() == [False, True]
    bad = {
        "older": bundle(tmp_path, 6, opened),
        "unsigned": bundle(tmp_path, 8, opened, signed=False),
        "broken": good[: len(good) // 2],
        "not one at all": b"<html>sign in</html>",
        "huge": huge(),
    }
    for name, data in bad.items():
        before = len(gateway.logs())
        publish(data)
        eventually(
            lambda seen=before: b"are not in force" in gateway.logs()[seen:],
            f"the {name} one is refused",
            lambda: gateway.logs().decode()[-3000:],
        )
        print(name, gateway.logs()[before:].decode().strip().splitlines()[0][:300])
        assert judged() == [False, True], name
        assert processes_are_small(gateway)

    gateway.restart(timeout=60)  # what was in force is kept, and its source is still a bad one
    ready(gateway)
    assert judged() == [False, True]
    publish(bundle(tmp_path, 9, opened))
    eventually(lambda: judged() == [False, False], "the newer one is in force")


def processes_are_small(gateway: Any) -> bool:
    """Nothing was unpacked without a bound."""
    used: int = gateway.stats(stream=False)["memory_stats"]["usage"]
    return used < 400e6
