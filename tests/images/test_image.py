"""What the image is: its size, its start, its user, its labels, its list of parts, and what is not in it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from sidecar import __version__
from tests.images.pod import REGATE, ROOT, STRICT, Pod, eventually, pod, ready, settings, write

FEW = {"default": "deny", "version": "1", "tools": {}}


@pytest.fixture(scope="module")
def client(regate_image: str) -> Iterator[Any]:
    client = docker.from_env(timeout=120)
    yield client
    client.close()


@pytest.fixture
def made(regate_image: str) -> Iterator[Pod]:
    with pod() as made:
        yield made


def inside(client: Any, *command: str, image: str = REGATE, **options: Any) -> str:
    """What a command in the image prints."""
    options = {"network_mode": "none", "tmpfs": {"/state": ""}, "remove": True, **STRICT, **options}
    out: bytes = client.containers.run(image, list(command), **options)
    return out.decode()


def test_image_adds_less_than_120_mb_to_its_base(client: Any, python_image: str) -> None:
    added = client.images.get(REGATE).attrs["Size"] - client.images.get(python_image).attrs["Size"]
    assert added < 120e6
    print(f"{added / 1e6:.0f} MB over {python_image}")


def test_image_says_what_it_is_and_runs_as_nobody(client: Any) -> None:
    config = client.images.get(REGATE).attrs["Config"]
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == "regate"
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.revision"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["regate"]
    assert config["Healthcheck"]["Test"] == ["CMD", "regate", "health", "--ready"]
    assert f"ARG VERSION={__version__}\n" in (ROOT / "deploy" / "docker" / "Dockerfile").read_text()


def test_image_carries_no_address_and_nothing_of_how_pip_was_set_up(client: Any) -> None:
    history = json.dumps(client.images.get(REGATE).history())
    assert "://" not in history
    assert "PIP_" not in history
    assert "PIP_" not in json.dumps(client.images.get(REGATE).attrs["Config"]["Env"])
    look = (
        "import pathlib; print([str(p) for p in pathlib.Path('/').glob('*/pip.conf')],"
        "[str(p) for p in pathlib.Path('/opt/regate').rglob('direct_url.json')])"
    )
    assert inside(client, "-c", look, entrypoint=["python"]) == "[] []\n"


def test_list_of_parts_is_what_is_installed(client: Any) -> None:
    look = (
        "import json, pathlib, importlib.metadata as m;"
        "print(json.dumps([json.loads(pathlib.Path('/opt/regate/sbom.cdx.json').read_text()),"
        "sorted((d.name.lower().replace('_', '-'), d.version) for d in m.distributions())]))"
    )
    sbom, installed = json.loads(inside(client, "-c", look, entrypoint=["python"]))
    assert sbom["bomFormat"] == "CycloneDX"
    assert sbom["metadata"]["component"]["name"] == "regate"
    parts = {(part["name"].lower().replace("_", "-"), part["version"]): part for part in sbom["components"]}
    names = {tuple(entry) for entry in installed} - {("regate", __version__)}
    assert {name for name, _ in names} == {name for name, _ in parts} - {"opa"}
    assert names <= set(parts)
    assert all(part["hashes"] for part in parts.values())


def test_image_needs_no_shell(client: Any, made: Pod, tmp_path: Path, regate_image: str) -> None:
    script = "rm -f /bin/sh /bin/bash /bin/dash /usr/bin/sh /usr/bin/bash /usr/bin/dash"
    maker = client.containers.create(REGATE, ["-c", script], entrypoint=["/bin/sh"], user="0", network_mode="none")
    try:
        maker.start()
        assert maker.wait(timeout=60)["StatusCode"] == 0
        config = client.images.get(REGATE).attrs["Config"]
        changes = [
            f"ENTRYPOINT {json.dumps(config['Entrypoint'])}",
            f"CMD {json.dumps(config['Cmd'])}",
            "USER 65532:65532",
        ]
        bare = maker.commit(repository="regate-without-a-shell", changes="\n".join(changes))
    finally:
        maker.remove(force=True, v=True)
    try:
        shell = client.containers.create(bare.id, ["-c", "true"], entrypoint=["/bin/sh"], network_mode="none")
        try:
            with pytest.raises(docker.errors.APIError, match="no such file"):
                shell.start()
        finally:
            shell.remove(force=True, v=True)
        folder = write(tmp_path / "etc", settings(servers={"s": {"url": "http://127.0.0.1:9/mcp"}}, grants={}), FEW)
        volumes = {str(folder): {"bind": "/etc/regate", "mode": "ro"}}
        gateway = made.add(bare.id, volumes=volumes, tmpfs={"/tmp": ""}, **STRICT)
        ready(gateway)
        made.close()
        made.containers.clear()
    finally:
        client.images.remove(bare.id, force=True)


def test_image_serves_within_two_seconds_of_its_start(client: Any, made: Pod, tmp_path: Path) -> None:
    """The best of a few. On a machine that has no processor to spare, what the start used of one is what counts."""
    folder = write(
        tmp_path / "etc", settings(servers={"s": {"command": ["python3", "-S", "/small.py", "server"]}}, grants={})
    )
    small = Path(__file__).parent / "small.py"
    volumes = {
        str(folder): {"bind": "/etc/regate", "mode": "ro"},
        str(small): {"bind": "/small.py", "mode": "ro"},
        str(tmp_path / "out"): {"bind": "/out", "mode": "rw"},
    }
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)
    took, used = [], []
    for number in range(5):
        note = tmp_path / "out" / f"{number}.json"
        command = ["serve", "--config", "/etc/regate/regate.yaml", "--ready-file", f"/out/{number}.json"]
        began = time.time()
        gateway = made.add(REGATE, *command, volumes=volumes, tmpfs={"/tmp": ""}, **STRICT)
        eventually(note.exists, "it serves", lambda gateway=gateway: gateway.logs().decode())
        took.append(note.stat().st_mtime - began)
        used.append(gateway.stats(stream=False)["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9)
        made.containers.pop().stop()
    print("started and ready in", ", ".join(f"{seconds:.2f} s" for seconds in sorted(took)))
    print("processor time", ", ".join(f"{seconds:.2f} s" for seconds in sorted(used)))
    assert min(took) < 2 or min(used) < 1.5


def test_image_under_another_uid_serves_with_a_state_of_its_own_and_says_in_a_line_when_it_has_none(
    client: Any, made: Pod, tmp_path: Path
) -> None:
    folder = write(tmp_path / "etc", settings(servers={"s": {"url": "http://127.0.0.1:9/mcp"}}, grants={}), FEW)
    volumes = {str(folder): {"bind": "/etc/regate", "mode": "ro"}}
    (tmp_path / "root's").mkdir(mode=0o755)
    shut = volumes | {str(tmp_path / "root's"): {"bind": "/state", "mode": "rw"}}
    strange = made.add(REGATE, user="12345:12345", volumes=shut, tmpfs={"/tmp": ""}, **STRICT)
    assert strange.wait(timeout=90)["StatusCode"] == 1
    lines = strange.logs().decode().splitlines()
    assert len(lines) <= 2
    assert lines[0].startswith("regate: /state")
    assert "permission denied" in lines[0].lower()
    made.containers.pop().stop()
    for place in ({}, {"/state": ""}):
        ready(made.add(REGATE, user="12345:12345", volumes=volumes, tmpfs={"/tmp": "", **place}, **STRICT))
        made.containers.pop().stop()


def test_image_without_a_place_to_write_says_so_in_a_line(client: Any, made: Pod, tmp_path: Path) -> None:
    folder = write(tmp_path / "etc", settings(servers={"s": {"url": "http://127.0.0.1:9/mcp"}}, grants={}), FEW)
    volumes = {str(folder): {"bind": "/etc/regate", "mode": "ro"}}
    shut = made.add(REGATE, volumes=volumes, **STRICT)
    assert shut.wait(timeout=90)["StatusCode"] == 1
    assert "No temporary folder can be made" in shut.logs().decode()
    assert "Traceback" not in shut.logs().decode()
