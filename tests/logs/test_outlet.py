"""A reader that does not read must not stop who writes, and one that does must miss nothing."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from filepipe.logs.outlet import Outlet

LINES = b"".join(b"%06d %s\n" % (number, b"x" * (number % 300)) for number in range(4000))


@pytest.fixture(params=["pipe", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """Where it is read and where it is written."""
    if request.param == "pipe":
        reading, writing = os.pipe()
    else:
        reading, writing = (sock.detach() for sock in socket.socketpair())
    yield reading, writing
    os.close(reading)
    os.close(writing)


def read_until(fd: int, last: bytes) -> bytes:
    """Everything up to this line."""
    data = b""
    while not data.endswith(last):
        data += os.read(fd, 65536)
    return data


def test_a_reader_that_is_slow_misses_nothing(ends: tuple[int, int]) -> None:
    """It is waited for."""
    reading, writing = ends
    got = b""

    def read() -> None:
        nonlocal got
        while len(got) < len(LINES):
            got += os.read(reading, 10_000)
            time.sleep(0.0002)

    reader = threading.Thread(target=read)
    reader.start()
    assert Outlet(writing).write(LINES) == 0
    reader.join(20)
    assert got == LINES


def test_a_reader_that_does_not_read_stops_nobody(ends: tuple[int, int]) -> None:
    """It gets whole lines in their order, and how many are missing is known afterwards."""
    reading, writing = ends
    outlet = Outlet(writing)
    began = time.monotonic()
    for _ in range(100):
        assert outlet.write(LINES) == 0
    assert time.monotonic() - began < 10
    first = os.read(reading, 1 << 20)
    dropped = outlet.write(b"again\n")
    rest = read_until(reading, b"again\n")
    whole = (first + rest).removesuffix(b"again\n")
    assert whole
    assert LINES.startswith(whole)
    assert whole.endswith(b"\n")
    assert dropped == 100 * LINES.count(b"\n") - whole.count(b"\n")
    assert outlet.write(b"more\n") == 0
    assert read_until(reading, b"more\n") == b"more\n"


def test_a_reader_that_has_left(ends: tuple[int, int]) -> None:
    """There is nothing to be done, and nothing to wait for."""
    reading, writing = ends
    os.dup2(os.open(os.devnull, os.O_RDONLY), reading)
    outlet = Outlet(writing)
    for _ in range(2):
        with pytest.raises(OSError, match="Broken pipe"):
            outlet.write(b"line\n")


def test_one_line_longer_than_a_pipe(ends: tuple[int, int]) -> None:
    """Its beginning is out, so its end must come before anything else."""
    reading, writing = ends
    outlet = Outlet(writing)
    long = b"x" * 500_000 + b"\n"
    outlet.write(long)
    data = b""
    while not data.endswith(b"next\n"):
        data += os.read(reading, 65536)
        outlet.write(b"next\n")
    assert data.replace(b"next\n", b"") == long
