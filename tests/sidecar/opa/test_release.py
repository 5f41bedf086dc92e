import hashlib
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from sidecar.errors import OpaMissing
from sidecar.opa import binary, release

OPA = b"#!/bin/sh\necho 'Version: 1.22.0'\n"
QUICK = release.Bounds(wait_s=0.3, download_s=5, size_bytes=100_000, build_s=20)


@dataclass
class Shop:
    """A local download site. `digest` and `file` are (status, headers, body); None hangs until the test is over."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    digest: tuple[int, dict[str, str], bytes] | None = (200, {}, b"")
    file: tuple[int, dict[str, str], bytes] | None = (200, {}, OPA)
    over: threading.Event = field(default_factory=threading.Event)

    def publish(self, content: bytes) -> None:
        self.digest = (200, {}, f"{hashlib.sha256(content).hexdigest()}  opa_linux_amd64_static\n".encode())


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    shop = Shop()
    shop.publish(OPA)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shop.asked.append(self.path)
            answer = shop.digest if self.path.endswith(".sha256") else shop.file
            if answer is None:
                shop.over.wait(30)
                return
            status, headers, body = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    shop.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv(release.DOWNLOADS_VARIABLE, f"{shop.url}/downloads/")
    monkeypatch.setattr(release, "system", lambda: ("linux", "amd64"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield shop
    shop.over.set()
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where OPA shall go, on a machine whose PATH holds nothing but what a test puts into bin/."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / "opa-1.22.0-linux-amd64"


@pytest.fixture
def go(tmp_path: Path, target: Path) -> Path:
    """A `go` that writes down how it was called and leaves an OPA 1.22.0."""
    script = tmp_path / "bin" / "go"
    script.write_text(
        f'#!/bin/sh\necho "$* CGO_ENABLED=$CGO_ENABLED GOOS=$GOOS" >> {tmp_path}/tape\n'
        "printf '#!/bin/sh\\necho Version: 1.22.0\\n' > $GOBIN/opa\n"
    )
    script.chmod(0o755)
    return tmp_path / "tape"


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_download_right_digest_is_installed(shop: Shop, target: Path) -> None:
    said: list[str] = []
    release.obtain(target, said.append, binary.fault, QUICK)
    assert target.read_bytes() == OPA
    assert target.stat().st_mode & 0o777 == 0o755
    assert shop.asked == [f"/downloads/v1.22.0/opa_linux_amd64_static{end}" for end in (".sha256", "")]
    assert said == [
        f"Fetching OPA 1.22.0 from {shop.url}/downloads/v1.22.0/opa_linux_amd64_static",
        f"OPA 1.22.0 is in {target}; its SHA-256 is the published one.",
    ]
    assert left_in(target.parent) == [target.name]


def test_download_wrong_digest_is_never_run_and_go_builds_instead(shop: Shop, target: Path, go: Path) -> None:
    shop.file = (200, {}, f"#!/bin/sh\necho run >> {go}\necho 'Version: 1.22.0'\n".encode())
    said: list[str] = []
    release.obtain(target, said.append, binary.fault, QUICK)
    (warning,) = [line for line in said if line.startswith("WARNING: ")]
    assert hashlib.sha256(OPA).hexdigest() in warning
    assert hashlib.sha256(shop.file[2]).hexdigest() in warning
    assert warning.endswith("It was thrown away and not run.")
    assert go.read_text() == "install github.com/open-policy-agent/opa@v1.22.0 CGO_ENABLED=0 GOOS=\n"
    assert b"run" not in target.read_bytes()


def test_download_wrong_digest_without_go_leaves_nothing(shop: Shop, target: Path, tmp_path: Path) -> None:
    shop.file = (200, {}, f"#!/bin/sh\necho run > {tmp_path}/ran\necho 'Version: 1.22.0'\n".encode())
    with pytest.raises(
        OpaMissing, match=r"has the SHA-256 [0-9a-f]{64}; published is [0-9a-f]{64}\. Go is not on PATH"
    ):
        release.obtain(target, print, binary.fault, QUICK)
    assert left_in(target.parent) == []
    assert not (tmp_path / "ran").exists()


def missing(shop: Shop) -> None:
    shop.file = (404, {}, b"Not found")


def missing_digest(shop: Shop) -> None:
    shop.digest = (404, {}, b"Not found")


def digest_is_a_page(shop: Shop) -> None:
    shop.digest = (200, {}, b"<html>Welcome to this hotel's network</html>")


def digest_is_short(shop: Shop) -> None:
    shop.digest = (200, {}, b"abc123  opa_linux_amd64_static\n")


def digest_is_endless(shop: Shop) -> None:
    shop.digest = (200, {}, b"a" * 5000)


def hangs(shop: Shop) -> None:
    shop.file = None


def hangs_at_the_digest(shop: Shop) -> None:
    shop.digest = None


def breaks_off(shop: Shop) -> None:
    shop.file = (200, {"Content-Length": str(len(OPA) + 100)}, OPA)


def too_large(shop: Shop) -> None:
    shop.file = (200, {}, b"x" * 200_000)


def not_this_version(shop: Shop) -> None:
    shop.file = (200, {}, OPA.replace(b"1.22.0", b"1.9.0"))
    shop.publish(shop.file[2])


def not_for_this_machine(shop: Shop) -> None:
    shop.file = (200, {}, b"\x7fELF for another machine")
    shop.publish(shop.file[2])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (missing, "answers with status 404"),
        (missing_digest, "answers with status 404"),
        (digest_is_a_page, "holds no SHA-256 digest"),
        (digest_is_short, "holds no SHA-256 digest"),
        (digest_is_endless, "is larger than 4096 bytes"),
        (hangs, "cannot be fetched"),
        (hangs_at_the_digest, "cannot be fetched"),
        (breaks_off, "cannot be fetched"),
        (too_large, "is larger than 100000 bytes"),
        (not_this_version, "What came is OPA 1.9.0"),
        (not_for_this_machine, "What came does not run here"),
    ],
)
def test_download_that_fails_leaves_the_work_to_go(
    shop: Shop, target: Path, go: Path, spoil: Callable[[Shop], None], reason: str
) -> None:
    spoil(shop)
    said: list[str] = []
    release.obtain(target, said.append, binary.fault, QUICK)
    assert reason in said[1]
    assert "WARNING" not in "".join(said)
    assert go.exists()
    assert binary.fault(target) is None
    assert left_in(target.parent) == [target.name]


def test_download_that_drips_is_given_up(shop: Shop, target: Path) -> None:
    with pytest.raises(OpaMissing, match="comes too slowly"):
        release.download(target, print, binary.fault, replace(QUICK, download_s=-1))


def test_download_redirect_is_followed(shop: Shop, target: Path) -> None:
    shop.digest = (302, {"Location": f"{shop.url}/elsewhere"}, b"")
    shop.file = (200, {}, hashlib.sha256(OPA).hexdigest().encode())
    with pytest.raises(release.WrongDigest):
        release.download(target, print, binary.fault, QUICK)
    assert shop.asked[1] == "/elsewhere"


def test_download_redirect_away_from_tls_is_refused(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.scheme == "https":
            return httpx.Response(302, headers={"Location": f"http://mirror{request.url.path}"})
        return httpx.Response(200, content=hashlib.sha256(OPA).hexdigest().encode())

    client = httpx.Client(transport=httpx.MockTransport(answer), follow_redirects=True)
    monkeypatch.setattr(httpx, "Client", lambda **_: client)
    monkeypatch.setattr(release, "system", lambda: ("linux", "amd64"))
    monkeypatch.setenv(release.DOWNLOADS_VARIABLE, "https://opa.example")
    with pytest.raises(OpaMissing, match="leads to an address without TLS"):
        release.download(target, print, binary.fault, QUICK)


def test_download_refused_connection_leaves_the_work_to_go(
    target: Path, go: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "system", lambda: ("linux", "arm64"))
    monkeypatch.setenv(release.DOWNLOADS_VARIABLE, "http://127.0.0.1:1")
    release.obtain(target, print, binary.fault, QUICK)
    assert go.exists()


@pytest.mark.parametrize("base", ["http://[", "nonsense", "ftp://host", "http://a:99999999", "http://[::1"])
def test_download_unusable_base_is_one_reason(target: Path, monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    monkeypatch.setattr(release, "system", lambda: ("linux", "amd64"))
    monkeypatch.setenv(release.DOWNLOADS_VARIABLE, base)
    with pytest.raises(OpaMissing, match="cannot be fetched"):
        release.download(target, print, binary.fault, QUICK)


def test_download_credentials_of_a_mirror_are_not_told(
    shop: Shop, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(release.DOWNLOADS_VARIABLE, shop.url.replace("//", "//me:pa@ss@"))
    shop.publish(b"another file")
    said: list[str] = []
    with pytest.raises(OpaMissing) as caught:
        release.obtain(target, said.append, binary.fault, QUICK)
    told = "".join(said) + str(caught.value)
    assert "published is" in told
    assert "ss@" not in told


def test_download_unknown_proxy_is_one_reason(shop: Shop, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "gopher://proxy")
    with pytest.raises(OpaMissing, match="cannot be fetched"):
        release.download(target, print, binary.fault, QUICK)


def test_download_unknown_machine_has_no_release(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "system", lambda: ("plan9", "mips"))
    with pytest.raises(OpaMissing, match="no release for plan9/mips"):
        release.download(target, print, binary.fault, QUICK)


def test_download_unwritable_folder_is_one_reason(shop: Shop, target: Path) -> None:
    with pytest.raises(OpaMissing, match="failed: No such file or directory"):
        release.download(target.parent / "gone" / "opa", print, binary.fault, QUICK)


def test_go_install_failure_tells_its_last_line(target: Path, go: Path) -> None:
    script = go.parent / "bin" / "go"
    script.write_text("#!/bin/sh\necho downloading >&2\necho 'go: no route to proxy' >&2\nexit 1\n")
    with pytest.raises(OpaMissing, match=r"go install failed: go: no route to proxy$"):
        release.go_install(target, print, binary.fault, QUICK)
    assert left_in(target.parent) == []


def test_go_install_silent_failure_says_so(target: Path, go: Path) -> None:
    (go.parent / "bin" / "go").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(OpaMissing, match="go install failed: it says nothing"):
        release.go_install(target, print, binary.fault, QUICK)


def test_go_install_without_a_binary_says_so(target: Path, go: Path) -> None:
    (go.parent / "bin" / "go").write_text("#!/bin/sh\n")
    with pytest.raises(OpaMissing, match="left no binary: No such file or directory"):
        release.go_install(target, print, binary.fault, QUICK)


def test_go_install_that_hangs_is_ended(target: Path, go: Path) -> None:
    (go.parent / "bin" / "go").write_text("#!/bin/sh\nread line <> /dev/ptmx\n")
    with pytest.raises(OpaMissing, match=r"did not end within 0\.1 s"):
        release.go_install(target, print, binary.fault, replace(QUICK, build_s=0.1))


def test_go_install_builds_for_this_machine(target: Path, go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOS", "plan9")
    release.go_install(target, print, binary.fault, QUICK)
    assert go.read_text().endswith("GOOS=\n")


def test_obtain_no_way_left_names_all_three(shop: Shop, target: Path) -> None:
    shop.digest = (404, {}, b"")
    with pytest.raises(OpaMissing) as caught:
        release.obtain(target, print, binary.fault, QUICK)
    told = f"{caught.value} {caught.value.hint}"
    assert "\n" not in told
    for part in (
        "status 404",
        "Go is not on PATH",
        "REGATE_OPA",
        "https://openpolicyagent.org/downloads",
        "install Go",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("Linux", "x86_64"), ("linux", "amd64")),
        (("Linux", "aarch64"), ("linux", "arm64")),
        (("Darwin", "arm64"), ("darwin", "arm64")),
        (("FreeBSD", "riscv64"), ("freebsd", "riscv64")),
    ],
)
def test_system_names_are_those_of_release_files(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, str], wanted: tuple[str, str]
) -> None:
    monkeypatch.setattr(release.platform, "system", lambda: names[0])
    monkeypatch.setattr(release.platform, "machine", lambda: names[1])
    assert release.system() == wanted


@pytest.mark.slow
@pytest.mark.timeout(1900)
@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go on PATH")
def test_go_install_for_real_gives_the_pinned_opa(tmp_path: Path) -> None:
    release.go_install(tmp_path / "opa", print, binary.fault, release.Bounds())
    done = subprocess.run([tmp_path / "opa", "version"], capture_output=True, check=True)
    assert b"Version: 1.22.0\n" in done.stdout
