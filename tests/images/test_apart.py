"""The image without OPA, and OPA in a container of its own beside it: they meet at a socket."""

import subprocess
import sys
from pathlib import Path

from tests.images.pod import ROOT, SAMPLE, STRICT, eventually, is_ready, pod, settings, write
from tests.images.test_short import POLICY, SMALL, asked, said

OPA = "openpolicyagent/opa:1.22.0-static"


def test_opa_in_a_container_of_its_own_decides_and_nothing_passes_while_it_is_gone(
    regate_image: str, bare_image: str, sample_image: str, tmp_path: Path
) -> None:
    server = {"command": ["python3", "-S", "/small.py", "server"]}
    given = settings(
        servers={"till": server}, opa={"url": "unix:///run/opa/opa.sock"}, policies={"policy": {"file": "policy.json"}}
    )
    given["grants"]["agent"]["policy"] = "policy"
    folder = write(tmp_path / "etc", given, POLICY)
    command = [
        sys.executable,
        "-m",
        "sidecar",
        "build",
        str(folder / "policy.json"),
        "-o",
        str(folder / "bundle.tar.gz"),
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    (folder / "bundle.tar.gz").chmod(0o644)
    meeting = tmp_path / "opa"
    meeting.mkdir()
    meeting.chmod(0o777)
    shared = {str(meeting): {"bind": "/run/opa", "mode": "rw"}}

    with pod() as made:
        made.add(SAMPLE, "-c", "import signal; signal.pause()", entrypoint=["python"], **STRICT)  # the network's
        run = ["run", "--server", "--addr", "unix:///run/opa/opa.sock", "--bundle", "/etc/regate/bundle.tar.gz"]
        volumes = {str(folder): {"bind": "/etc/regate", "mode": "ro"}, **shared}
        opa = made.add(OPA, *run, volumes=volumes, user="65532:65532", **STRICT)
        eventually((meeting / "opa.sock").is_socket, "OPA listens", lambda: opa.logs().decode())
        gateway = made.gateway(folder, image=bare_image, volumes=SMALL | shared)
        assert not [row for row in gateway.top()["Processes"] if "opa run" in row[-1]]
        _, look, pay = asked(made, "look", "pay")
        assert said(look) == "done"
        assert "[POLICY DENIED]" in said(pay)

        opa.kill("SIGKILL")
        opa.wait(timeout=60)
        _, held = asked(made, "look")
        assert "[POLICY DENIED]" in said(held)
        opa.start()
        eventually(lambda: is_ready(gateway) and said(asked(made, "look")[1]) == "done", "OPA is back")

        reached = gateway.exec_run(["python3", "-c", "print(open('/state/reached').read())"]).output.split()
        assert set(reached) == {b"look"}
