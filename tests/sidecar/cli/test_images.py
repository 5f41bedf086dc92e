from pathlib import Path

import pytest

from sidecar.cli.images import ImageFlags
from sidecar.cli.single import Single
from sidecar.cli.terminal import Usage
from sidecar.errors import Unreachable

HERE = Path.cwd()


def test_settings_of_an_image_take_its_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "from here")
    flags = ImageFlags("mcp/time:1", "bridge", ["./data:/data", "kept:/kept:rw"], "1000")
    single = Single(Path("p.json"), ["--tz", "UTC"], env=["TOKEN", "A=b=c"], state=tmp_path, container=flags)
    server = single.settings("run").servers["time-1"]
    assert (server.image, server.command) == ("mcp/time:1", ("--tz", "UTC"))
    assert server.env == {"TOKEN": "from here", "A": "b=c"}
    assert (server.container.network, server.container.user) == ("bridge", "1000")
    assert [(m.source, m.target, m.writable) for m in server.container.mounts] == [
        (str(HERE / "data"), "/data", False),
        ("kept", "/kept", True),
    ]


def test_flags_are_told_again_so_that_they_hold_in_any_folder_and_show_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "s3cret")
    flags = ImageFlags("mcp/time", None, [".:/data"], None)
    told = Single(Path("p.json"), ["-v"], env=["TOKEN"], state=tmp_path, container=flags).stdio_arguments()
    assert told[told.index("--image") :] == ["--image", "mcp/time", "--mount", f"{HERE}:/data", "--", "-v"]
    assert "s3cret" not in told
    assert told[told.index("--env") + 1] == "TOKEN"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"container": ImageFlags("x"), "upstream": "http://h/mcp"}, "name one server"),
        ({"container": ImageFlags(None, "bridge"), "command": ["x"]}, "--network is for --image"),
        ({"container": ImageFlags(None, None, ["a:/b"]), "command": ["x"]}, "--mount is for --image"),
        ({"container": ImageFlags(None, None, (), "0"), "command": ["x"]}, "--user is for --image"),
        ({"container": ImageFlags("x y"), "name": "n"}, "--image: "),
        ({"container": ImageFlags("x", None, ["/a"])}, "--mount: must be FOLDER:/PLACE"),
        ({"container": ImageFlags("x", None, ["/a:b"])}, "--mount: a mount's place in the container begins with /"),
        ({"container": ImageFlags("x"), "env": ["NO_SUCH_VARIABLE"]}, "--env NO_SUCH_VARIABLE: there is no such"),
        ({"container": ImageFlags("x"), "env": ["s3cret value"]}, "--env: must be NAME=VALUE, or NAME"),
        ({"container": ImageFlags("x"), "headers": ["A: env:B"]}, "--header is for --upstream"),
    ],
)
def test_flags_that_do_not_fit_are_refused_without_a_value(
    members: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(Usage, match=message) as told:
        Single(Path("p.json"), state=tmp_path, **members).settings("run")  # type: ignore[arg-type]
    assert "s3cret" not in str(told.value)


def test_image_that_is_not_here_is_told_before_anything_starts(python_image: str) -> None:
    ImageFlags(python_image).check()
    ImageFlags().check()
    with pytest.raises(Unreachable, match="There is no image no/such:1 here"):
        ImageFlags("no/such:1").check()
