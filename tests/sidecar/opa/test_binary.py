import os
import threading
from pathlib import Path

import pytest

from sidecar.errors import OpaMissing
from sidecar.opa import binary, release


def write_opa(path: Path, version: str = release.PINNED) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'Version: {version}'\necho 'Platform: linux/amd64'\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any OPA: an empty PATH, an empty environment of Python, and an empty cache."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.prefix", str(tmp_path / "venv"))
    monkeypatch.delenv(binary.VARIABLE, raising=False)
    return tmp_path


@pytest.mark.parametrize("version", ["1.22.0", "1.22.1", "1.23.0", "1.100.0", "1.23.0-dev", "1.22.0+build.7"])
def test_fault_recent_version_is_none(machine: Path, version: str) -> None:
    assert binary.fault(write_opa(machine / "opa", version)) is None


@pytest.mark.parametrize("version", ["1.21.9", "1.9.0", "1.22.0-rc1", "0.70.0", "2.0.0", "2.30.0"])
def test_fault_other_version_names_it(machine: Path, version: str) -> None:
    assert binary.fault(write_opa(machine / "opa", version)) == (
        f"is OPA {version}, and 1.22.0 or a newer 1.x is needed"
    )


@pytest.mark.parametrize("version", ["", "1.22", "v1.22.0", "latest", "1.22.0.1", "9" * 5000 + ".1.1"])
def test_fault_unreadable_version_is_no_version(machine: Path, version: str) -> None:
    assert binary.fault(write_opa(machine / "opa", version)) == "does not tell its version"


def test_fault_failing_binary_does_not_run(machine: Path) -> None:
    path = write_opa(machine / "opa")
    path.write_text(path.read_text() + "exit 1\n")
    assert binary.fault(path) == "does not run here"


def test_fault_hanging_binary_does_not_run(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "_VERSION_S", 0.1)
    path = write_opa(machine / "opa")
    path.write_text("#!/bin/sh\nread line <> /dev/ptmx\n")
    assert binary.fault(path) == "does not run here"


@pytest.mark.parametrize("content", [b"", b"\x7fELF junk", None])
def test_fault_no_program_does_not_run(machine: Path, content: bytes | None) -> None:
    path = machine / "opa"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o755)
    assert binary.fault(path) == "does not run here"


def test_fault_binary_sees_nothing_of_our_environment(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1.22.0")
    path = write_opa(machine / "opa", "${SECRET}")
    path.write_text(path.read_text().replace("'", '"'))
    assert binary.fault(path) == "does not tell its version"


def test_find_nothing_there_is_none() -> None:
    assert binary.find() is None


def test_find_order_is_variable_path_beside_us_cache(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = binary.cached()
    assert target is not None
    write_opa(target)
    assert binary.find() == target
    beside = write_opa(machine / "venv" / "bin" / "opa")
    assert binary.find() == beside
    on_path = write_opa(machine / "bin" / "opa")
    assert binary.find() == on_path
    chosen = write_opa(machine / "mine")
    monkeypatch.setenv(binary.VARIABLE, str(chosen))
    assert binary.find() == chosen


def test_find_old_one_on_path_is_passed_over(machine: Path) -> None:
    write_opa(machine / "bin" / "opa", "1.9.0")
    assert binary.find() is None


def test_find_relative_names_give_absolute_paths(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(machine)
    write_opa(machine / "bin" / "opa")
    monkeypatch.setenv("PATH", "bin")
    assert binary.find() == machine / "bin" / "opa"
    monkeypatch.setenv(binary.VARIABLE, "bin/opa")
    assert binary.find() == machine / "bin" / "opa"


def test_find_unusable_choice_is_refused_and_nothing_else_tried(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_opa(machine / "bin" / "opa")
    chosen = write_opa(machine / "mine", "1.9.0")
    monkeypatch.setenv(binary.VARIABLE, str(chosen))
    with pytest.raises(OpaMissing, match=r"REGATE_OPA names .*/mine, which is OPA 1\.9\.0, and 1\.22\.0 or a newer"):
        binary.find()


def test_cached_relative_xdg_folder_is_ignored(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(machine))
    assert binary.cached() == machine / ".cache" / "regate" / "-".join(("opa", "1.22.0", *release.system()))


def test_ensure_without_home_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(binary.Path, "home", homeless)
    with pytest.raises(OpaMissing, match="no home folder") as caught:
        binary.ensure(print)
    assert "REGATE_OPA" in caught.value.hint


def test_ensure_unwritable_cache_says_so(machine: Path) -> None:
    (machine / "cache").write_text("a file where a folder belongs")
    with pytest.raises(OpaMissing, match=r"cannot be written"):
        binary.ensure(print)


def test_ensure_found_one_obtains_nothing(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "obtain", lambda *_: pytest.fail("obtained"))
    path = write_opa(machine / "bin" / "opa")
    assert binary.ensure(print) == path


def test_ensure_two_at_once_obtain_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tape: list[str] = []
    first_inside, second_waits = threading.Event(), threading.Event()

    def obtain(target: Path, *_: object) -> None:
        tape.append("obtain")
        first_inside.set()
        assert second_waits.wait(10)
        write_opa(target)

    def second() -> None:
        assert first_inside.wait(10)
        got.append(binary.ensure(lambda line: (tape.append(line), second_waits.set())))

    monkeypatch.setattr(binary, "obtain", obtain)
    got: list[Path] = []
    thread = threading.Thread(target=second)
    thread.start()
    got.append(binary.ensure(tape.append))
    thread.join(10)
    assert tape == ["obtain", "Another process is obtaining OPA; waiting for it."]
    assert got == [binary.cached(), binary.cached()]


def test_ensure_failure_lets_the_next_one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OpaMissing("No.")

    monkeypatch.setattr(binary, "obtain", fails)
    for _ in range(2):
        with pytest.raises(OpaMissing):
            binary.ensure(print)


def test_fault_real_opa_is_none(opa_path: Path) -> None:
    assert binary.fault(opa_path) is None
    assert os.access(opa_path, os.X_OK)
