"""Real connections, real files without a name, and a disk that is really full."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from filepipe.relay.moves import Pipe
from filepipe.relay.plane import Plane
from tests.relay.descriptors import open_descriptors, relay_threads
from tests.relay.passages import Crossing
from tests.relay.running import Connect, Relay
from tests.relay.transfers import Transfers


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Make TCP connections: the peer's end, and ours, which never blocks."""
    opened: list[socket.socket] = []

    def connect(buffer: int | None = None) -> tuple[socket.socket, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            if buffer is not None:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
            peer = socket.socket()
            if buffer is not None:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            peer.connect(server.getsockname())
            ours, _ = server.accept()
        peer.settimeout(20)
        ours.setblocking(False)
        opened.extend((peer, ours))
        return peer, ours

    yield connect
    for sock in opened:
        sock.close()


@pytest.fixture
def pairs() -> Iterator[Connect]:
    """Make connections of unix sockets, as a listener may have."""
    opened: list[socket.socket] = []

    def pair(buffer: int | None = None) -> tuple[socket.socket, socket.socket]:
        peer, ours = socket.socketpair()
        if buffer is not None:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        ours.setblocking(False)
        opened.extend((peer, ours))
        return peer, ours

    yield pair
    for sock in opened:
        sock.close()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """A file that has no name any more."""
    fd = unnamed(tmp_path)
    yield fd
    os.close(fd)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """What a worker has one of."""
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture
def full_file(tmp_path: Path) -> Iterator[int]:
    """A file on a disk of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small tmpfs")
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this system mounts no tmpfs: {done.stderr.strip()}")
    try:
        fd = unnamed(folder)
        yield fd
        os.close(fd)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def relay(connect: Connect, file: int) -> Iterator[Relay]:
    """A worker that gives everything back at its end, and reports each end once."""
    before = open_descriptors()
    relay = Relay(connect, file)
    yield relay
    relay.stop()
    ends = list(relay.ends.queue)
    assert len(ends) == len(set(ends))
    left = open_descriptors().items() - before.items()
    assert not [what for _, what in left if not what.startswith("socket:")]


@pytest.fixture
async def plane() -> AsyncIterator[Plane]:
    """A plane that leaves no thread behind, nor any descriptor but the test's connections."""
    before = open_descriptors()
    plane = Plane(enabled=True)
    yield plane
    assert plane.active == 0
    assert plane._growth == {}
    await plane.aclose()
    assert relay_threads() == []
    left = open_descriptors().items() - before.items()
    assert not [what for _, what in left if not what.startswith("socket:")]


@pytest.fixture
def transfers(plane: Plane, connect: Connect, file: int) -> Transfers:
    """One file on a plane."""
    return Transfers(plane, connect, file)


@pytest.fixture
def crossing(plane: Plane, connect: Connect) -> Callable[..., Crossing]:
    """Make a passage of so many bytes to so many sinks on a plane."""
    return lambda length, count=1: Crossing(plane, connect, length, count)


def unnamed(folder: Path) -> int:
    """Open a file and take its name away."""
    path = folder / "file"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    path.unlink()
    return fd
