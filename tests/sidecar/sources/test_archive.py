import gzip
import io
import tarfile
import tracemalloc

import pytest

from sidecar.sources import archive
from sidecar.sources.archive import BundleRefused, pack, unpack
from tests.bundles import entry, packed, tarred

TEXT = {"mcp/a.rego": "package mcp.a\n", ".manifest": "{}"}


def test_unpack_gives_back_what_was_packed() -> None:
    assert unpack(pack(TEXT)) == {name: text.encode() for name, text in TEXT.items()}
    assert pack(TEXT) == pack(dict(reversed(TEXT.items())))


def test_unpack_takes_what_tar_makes_of_a_folder() -> None:
    """`tar czf` names a folder, its folders, and every file with ./ before it."""
    folder = entry("./mcp", type=tarfile.DIRTYPE)
    data = tarred([(entry("./", type=tarfile.DIRTYPE), b""), (folder, b""), (entry("./mcp/a.rego"), b"x")])
    assert unpack(data) == {"mcp/a.rego": b"x"}


def test_unpack_takes_a_name_from_a_pax_header() -> None:
    name = f"mcp/{'x' * 250}.rego"
    assert unpack(tarred([(entry(name), b"x")], tarfile.PAX_FORMAT)) == {name: b"x"}


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "a/../x", "a//x", "a/./x", "a\\x", "é", "a\x01", "x" * 301, "..", "./../x"]
)
def test_unpack_file_of_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(BundleRefused, match="a name that cannot be"):
        unpack(tarred([(entry(name), b"x")], tarfile.PAX_FORMAT))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_unpack_what_is_no_plain_file_is_refused(kind: bytes) -> None:
    data = tarred([(entry("mcp/a.rego", type=kind, linkname="/etc/passwd"), b"")])
    with pytest.raises(BundleRefused, match="a link or no plain file"):
        unpack(data)


def test_unpack_sparse_file_is_refused() -> None:
    head = entry("a", pax_headers={"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 40)})
    with pytest.raises(BundleRefused):
        unpack(tarred([(head, b"x")], tarfile.PAX_FORMAT))


def test_unpack_same_file_twice_is_refused() -> None:
    with pytest.raises(BundleRefused, match="twice"):
        unpack(tarred([(entry("a"), b"1"), (entry("./a"), b"2")]))


def test_unpack_too_many_files_is_refused() -> None:
    with pytest.raises(BundleRefused, match="more than 10000 files"):
        unpack(packed({f"f{number}": "" for number in range(10_001)}))


def test_unpack_bomb_is_refused_without_being_unpacked() -> None:
    bomb = gzip.compress(bytes(1 << 30), 9)
    assert len(bomb) < archive.PACKED_BYTES
    tracemalloc.start()
    try:
        with pytest.raises(BundleRefused, match="larger than 67108864 bytes when unpacked"):
            unpack(bomb)
        assert tracemalloc.get_traced_memory()[1] < 3 * archive.UNPACKED_BYTES
    finally:
        tracemalloc.stop()


def test_unpack_too_large_as_it_comes_is_refused() -> None:
    with pytest.raises(BundleRefused, match="larger than 33554432 bytes"):
        unpack(bytes(archive.PACKED_BYTES + 1))


GOOD = packed(TEXT)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cut off"),
        (b"hello", "not gzip, or damaged"),
        (GOOD[:-9], "cut off"),
        (GOOD[:-1], "cut off"),
        (GOOD[:-5] + b".....", "damaged"),
        (GOOD + GOOD, "goes on after its end"),
        (gzip.compress(b"no tar at all" * 100), "not a tar archive"),
        (gzip.compress(gzip.decompress(GOOD)[:600]), "cut off|not a tar"),
    ],
    ids=["nothing", "text", "short", "shorter", "bent", "twice", "no tar", "half a tar"],
)
def test_unpack_damaged_bundle_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(BundleRefused, match=says):
        unpack(data)


def test_unpack_number_beyond_reason_in_a_header_is_refused() -> None:
    raw = bytearray(gzip.decompress(packed({"a": "x"})))
    raw[124:136] = b"77777777777\0"
    header = bytes(raw[:148]) + b"        " + bytes(raw[156:512])
    raw[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(BundleRefused):
        unpack(gzip.compress(bytes(raw)))
    with tarfile.open(fileobj=io.BytesIO(bytes(raw)), mode="r:") as tar:
        assert tar.next() is not None
