"""Messages over TCP with a limit on every wait, against a server that does as it likes."""

from __future__ import annotations

import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from filepipe_backends import smb_transport
from filepipe_backends.smb_transport import Transport


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Transport, socket.socket]]:
    """A connection, and its other end; who is silent for 0.2 seconds is too long."""
    monkeypatch.setattr(smb_transport, "SILENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = Transport("127.0.0.1", server.getsockname()[1])
        transport.connect()
        other, _ = server.accept()
    with other:
        yield transport, other
    transport.release()


def test_messages(peer: tuple[Transport, socket.socket]) -> None:
    """They come as they were sent, in pieces too; then the end."""
    transport, other = peer
    transport.send(b"hello")
    assert other.recv(100) == b"\0\0\0\5hello"
    other.sendall(b"\0\0\0\3a")
    threading.Timer(0.05, other.sendall, [b"bc\0\0\0\1d"]).start()
    assert transport.recv(1) == b"abc"
    assert transport.recv(1) == b"d"
    other.shutdown(socket.SHUT_WR)
    assert transport.recv(1) == b""
    assert not transport.connected


@pytest.mark.parametrize("begun", [b"\0", b"\0\0\0\5", b"\0\0\0\5hel"])
def test_silence(peer: tuple[Transport, socket.socket], begun: bytes) -> None:
    """Between two messages it may be asked whether somebody is there; within one it is over."""
    transport, other = peer
    with pytest.raises(TimeoutError):
        transport.recv(1)
    assert transport.connected
    other.sendall(begun)
    with pytest.raises(ConnectionError, match="fell silent"):
        transport.recv(1)


def test_a_length_that_cannot_be(peer: tuple[Transport, socket.socket]) -> None:
    """No memory is taken for what no SMB server says."""
    transport, other = peer
    other.sendall(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(ConnectionError, match="does not speak SMB"):
        transport.recv(1)


def test_a_peer_that_reads_nothing(peer: tuple[Transport, socket.socket]) -> None:
    """Sending ends in time, and the connection with it."""
    transport, _ = peer
    with pytest.raises(TimeoutError):
        transport.send(b"x" * 64_000_000)
    assert not transport.connected
    with pytest.raises((TimeoutError, ConnectionError)):
        transport.send(b"x")


def test_closing_wakes_whoever_waits(
    peer: tuple[Transport, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both who receives and who sends."""
    transport, _ = peer
    assert transport._socket is not None
    transport._socket.settimeout(30)
    ended = []

    def receive() -> None:
        ended.append(transport.recv(1))

    def send() -> None:
        with pytest.raises((TimeoutError, ConnectionError)):
            transport.send(b"x" * 64_000_000)
        ended.append(b"sent")

    threads = [threading.Thread(target=target) for target in (receive, send)]
    for thread in threads:
        thread.start()
    threading.Timer(0.1, transport.close).start()
    for thread in threads:
        thread.join(10)
    assert sorted(ended) == [b"", b"sent"]


def test_many_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may have more than 1024 of them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip("this system allows too few descriptors")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 1200), hard))
    with ExitStack() as life:
        life.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        server = life.enter_context(socket.create_server(("127.0.0.1", 0)))
        for _ in range(1050):
            life.enter_context(socket.socket())
        transport = Transport("127.0.0.1", server.getsockname()[1])
        transport.connect()
        life.callback(transport.release)
        other, _ = server.accept()
        life.enter_context(other)
        assert other.fileno() > 1024
        other.sendall(b"\0\0\0\2hi")
        assert transport.recv(1) == b"hi"
