"""Source: mcp-gateway.md G46."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar.downstream.standard import LineWriter, read_chunks

_CLAIM = """
import os, subprocess
from sidecar.downstream.standard import claim
read_fd, write_fd = claim()
print("printed", flush=True)
subprocess.run(["sh", "-c", "cat; echo from a child"])
os.write(write_fd, b"wire:" + os.read(read_fd, 100))
"""


@pytest.mark.parametrize("stderr", ["open", "closed"])
def test_claim_leaves_the_wire_to_messages_only(stderr: str) -> None:
    command = [sys.executable, "-c", _CLAIM]
    if stderr == "closed":
        command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command]
    done = subprocess.run(command, input=b"hello", capture_output=True, timeout=60, check=True)
    assert done.stdout == b"wire:hello"
    assert done.stderr == (b"printed\nfrom a child\n" if stderr == "open" else b"")


async def everything(fd: int) -> bytes:
    return b"".join([chunk async for chunk in read_chunks(fd)])


async def test_read_pipe_until_its_end() -> None:
    read_fd, write_fd = os.pipe()
    reading = asyncio.create_task(everything(read_fd))
    for _ in range(10):
        await asyncio.to_thread(os.write, write_fd, b"x" * 50_000)
    os.close(write_fd)
    assert len(await reading) == 500_000


async def test_read_socket_until_its_end() -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"hello")
    theirs.close()
    assert await everything(ours.detach()) == b"hello"


async def test_read_file_until_its_end(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"y" * 300_000)
    with (tmp_path / "in").open("rb") as file:
        assert await everything(file.fileno()) == b"y" * 300_000


async def test_read_what_cannot_be_read_is_empty(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    assert await everything(folder) == b""
    os.close(folder)


async def test_read_of_a_file_given_up_ends_its_thread(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"y" * 300_000)
    with (tmp_path / "in").open("rb") as file:
        chunks = read_chunks(file.fileno())
        assert await anext(chunks)
        await chunks.aclose()


@pytest.fixture
async def pipe() -> AsyncIterator[tuple[int, LineWriter]]:
    read_fd, write_fd = os.pipe()
    writer = LineWriter(write_fd)
    await writer.open()
    yield read_fd, writer
    await writer.close(1.0)


async def test_writer_waits_for_a_slow_reader_and_loses_nothing(pipe: tuple[int, LineWriter]) -> None:
    read_fd, writer = pipe
    writing = asyncio.create_task(writer.write(b"x" * 999_999 + b"\n"))
    await asyncio.sleep(0)
    assert not writing.done()
    reading = asyncio.create_task(everything(read_fd))
    await writing
    await writer.write(b"last\n")
    await writer.close(10.0)
    assert (await reading)[-6:] == b"\nlast\n"


async def test_writer_without_a_reader_says_so_and_drops_what_comes(pipe: tuple[int, LineWriter]) -> None:
    read_fd, writer = pipe
    os.close(read_fd)
    await asyncio.wait_for(writer.lost.wait(), 10)
    await writer.write(b"nobody\n")


async def test_writer_does_not_wait_for_ever_for_a_reader_that_hangs(pipe: tuple[int, LineWriter]) -> None:
    read_fd, writer = pipe
    writing = asyncio.create_task(writer.write(b"x" * 999_999 + b"\n"))
    await asyncio.sleep(0)
    await writer.close(0.01)
    await asyncio.wait_for(writing, 10)
    os.close(read_fd)


async def test_writer_of_a_file_appends_lines(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        writer = LineWriter(file.fileno())
        await writer.open()
        await writer.write(b"a\n")
        await writer.write(b"b\n")
        await writer.close(1.0)
    assert (tmp_path / "out").read_bytes() == b"a\nb\n"


async def test_writer_of_a_file_that_is_full_is_lost() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    writer = LineWriter(full)
    await writer.open()
    await writer.write(b"a\n")
    assert writer.lost.is_set()
    os.close(full)
