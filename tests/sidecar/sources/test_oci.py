"""Bundles in a real registry, and what a hostile one may answer."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import SettingsError
from sidecar.fetch import NotFetched
from sidecar.sources import archive
from sidecar.sources.oci import LAYER, MANIFEST, OciSource, digest_of, push
from sidecar.sources.registry import Reference, Registry, parse
from sidecar.sources.source import Fetched, Unchanged
from sidecar.sources.transfer import Transfer
from tests.registryserver import PASSWORD, USERNAME, RegistryServer

ONE, TWO = b"\x1f\x8b one", b"\x1f\x8b two"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., RegistryServer]]:
    """`serve()`: a real registry."""
    running: list[RegistryServer] = []

    def start(**how: Any) -> RegistryServer:
        running.append(RegistryServer(tmp_path / f"registry{len(running)}", **how))
        return running[-1]

    yield start
    for each in running:
        each.stop()


Make = Callable[..., Registry]


@pytest.fixture
async def registry() -> AsyncIterator[Make]:
    """`registry()`: one to ask, closed afterwards."""
    made: list[Registry] = []

    def make(username: str = "", password: str = "") -> Registry:
        made.append(Registry(Transfer(), username, lambda: password))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def test_bundle_pushed_is_fetched_and_followed(serve: Callable[..., RegistryServer], registry: Make) -> None:
    reference = parse(serve().url("team/policies:main"))
    writer, source = registry(), OciSource(registry(), reference, every_s=30)
    digest = await push(writer, reference, ONE)
    first = await source.fetch("", wait=False)
    assert first == Fetched(ONE, digest)
    assert await source.fetch(digest, wait=True) == Unchanged()
    second = await push(writer, reference, TWO)
    assert await source.fetch(digest, wait=False) == Fetched(TWO, second)
    pinned = OciSource(registry(), Reference(reference.base, digest), every_s=30)
    assert await pinned.fetch("", wait=False) == Fetched(ONE, digest)
    with pytest.raises(NotFetched, match="the registry answers with status 404"):
        await OciSource(registry(), Reference(reference.base, "other"), every_s=30).fetch("", wait=False)
    await source.close()


async def test_registry_that_is_closed_asks_for_the_password(
    serve: Callable[..., RegistryServer], registry: Make
) -> None:
    reference = parse(serve(closed=True).url("policies:main"))
    known = registry(USERNAME, PASSWORD)
    digest = await push(known, reference, ONE)
    assert await OciSource(known, reference, every_s=30).fetch("", wait=False) == Fetched(ONE, digest)
    for other in (registry(), registry(USERNAME, "wrong")):
        with pytest.raises(NotFetched):
            await OciSource(other, reference, every_s=30).fetch("", wait=False)
        with pytest.raises(NotFetched):
            await push(other, reference, ONE)


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} x", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def manifest(*layers: Any, **more: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers, **more}).encode()


def layer(data: bytes = ONE, **more: Any) -> dict[str, Any]:
    return {"mediaType": LAYER, "digest": digest_of(data), "size": len(data), **more}


HOSTILE: list[tuple[bytes, bytes, str]] = [
    (b"{", ONE, "not of an image with one layer"),
    (b"[" * 100_000, ONE, "not of an image with one layer"),
    (b"[]", ONE, "not of an image with one layer"),
    (manifest(), ONE, "not of an image with one layer"),
    (manifest(layer(), layer()), ONE, "not of an image with one layer"),
    (json.dumps({"manifests": []}).encode(), ONE, "not of an image with one layer"),
    (manifest(layer(mediaType="application/json")), ONE, "does not have a tar.gz"),
    (manifest(layer(digest="sha256:../../x")), ONE, "does not have a tar.gz"),
    (manifest(layer(digest=1)), ONE, "does not have a tar.gz"),
    (manifest(layer(size=archive.PACKED_BYTES + 1)), ONE, "layer is larger than"),
    (manifest(layer(size="1")), ONE, "layer is larger than"),
    (manifest(layer()), TWO, "layer is not of the digest in its manifest"),
    (bytes(2_000_000), ONE, "longer than 1048576 bytes"),
]


@pytest.mark.parametrize(("given", "blob", "says"), HOSTILE)
async def test_what_is_no_bundle_s_image_is_given_up(
    web: Any, registry: Make, given: bytes, blob: bytes, says: str
) -> None:
    web.answers = lambda asked: answer(200, given if "manifests" in asked.target else blob)
    source = OciSource(registry(), parse(f"oci://127.0.0.1:{web.port}/p:1"), every_s=30)
    with pytest.raises(NotFetched, match=says):
        await source.fetch("", wait=False)


async def test_manifest_of_another_digest_than_asked_for_is_given_up(web: Any, registry: Make) -> None:
    web.answers = lambda _: answer(200, manifest(layer()))
    source = OciSource(registry(), parse(f"oci://127.0.0.1:{web.port}/p@sha256:{'0' * 64}"), every_s=30)
    with pytest.raises(NotFetched, match="manifest is not of the digest asked for"):
        await source.fetch("", wait=False)


@pytest.mark.parametrize(
    ("post", "put_blob", "put_manifest", "says"),
    [
        (answer(404), b"", b"", r"takes no upload \(status 404\)"),
        (answer(202), b"", b"", r"takes no upload \(status 202\)"),
        (answer(202, Location="/up?x=1"), answer(400), b"", r"does not take the upload \(status 400\)"),
        (answer(202, Location="/up"), answer(201), answer(413), r"does not take the manifest \(status 413\)"),
    ],
)
async def test_push_that_the_registry_does_not_take_says_so(
    web: Any, registry: Make, post: bytes, put_blob: bytes, put_manifest: bytes, says: str
) -> None:
    def answers(asked: Any) -> bytes:
        if "manifests" in asked.target:
            return put_manifest
        return put_blob if asked.target.startswith("/up") else post

    web.answers = answers
    writer = registry()
    with pytest.raises(NotFetched, match=says):
        await push(writer, parse(f"oci://127.0.0.1:{web.port}/p:1"), ONE)


def test_password_that_cannot_be_read_is_an_error() -> None:
    def missing() -> str:
        raise SettingsError("A secret is missing.")

    with pytest.raises(SettingsError):
        Registry(Transfer(), "u", missing)._basic()
