"""The pumps: what ends a transfer from outside, and what aiohttp has read ahead."""

import pytest

from tests.conftest import eventually, read_until


@pytest.fixture
def daemon_with_delete(start, each_path):
    """Start a daemon that lets keys be deleted."""
    return start(each_path, "--allow-delete")


def test_deleting_cuts_an_idle_upload(daemon_with_delete):
    """DELETE cuts reader and sender at once, also while the sender is silent."""
    daemon = daemon_with_delete
    size = 4_000_000
    head = f"PUT /k HTTP/1.1\r\nHost: localhost\r\nContent-Length: {2 * size}\r\n\r\n"
    with (
        daemon.connect(head.encode() + bytes(size)) as writer,
        daemon.connect(b"GET /k HTTP/1.1\r\nHost: localhost\r\n\r\n") as reader,
    ):
        got = len(read_until(reader, b"\r\n\r\n").split(b"\r\n\r\n", 1)[1])
        while got < size:
            got += len(reader.recv(1 << 20))
        daemon.talk(b"DELETE /k HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        reader.settimeout(5)
        while reader.recv(1 << 20):
            pass
        eventually(lambda: daemon.state()["disk"]["used"] == 0, 5)
        writer.settimeout(5)
        assert b"HTTP/1.1 5" in writer.recv(100)


def test_a_body_that_was_read_ahead_whole(start, each_path):
    """Readers that wait get a body that aiohttp had buffered before the relay began (left == 0)."""
    daemon = start(each_path, "--spill-threshold", "1K")
    size = 262_144
    for index in range(20):
        get = f"GET /k{index} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        readers = [daemon.connect(get) for _ in range(3)]
        eventually(lambda: daemon.state()["waiting_readers"] == 3)
        head = f"PUT /k{index} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
        with daemon.connect(head.encode() + bytes(60_000 + index * 3000)) as writer:
            writer.sendall(bytes(size - 60_000 - index * 3000))
            read_until(writer, b"/k")
        for reader in readers:
            with reader:
                reader.settimeout(5)
                got = len(read_until(reader, b"\r\n\r\n").split(b"\r\n\r\n", 1)[1])
                while got < size:
                    got += len(reader.recv(1 << 20))
