"""What those look for who check a server for piping, by every version and way."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.piping.conftest import Launch
from tests.scenarios.piping.front import RECEIVED, Front, fresh_path

SOON = 1.0
"""Seconds within which somebody who left must be forgotten."""

TYPE = "Content-Type: text/plain"


def assert_received(front: Front, path: str, data: bytes) -> None:
    """A receiver gets this, as text."""
    receiver = front.receive(path)
    assert receiver.status == 200
    assert receiver.headers["Content-Type"] == "text/plain"
    assert receiver.headers["X-Robots-Tag"] == "none"
    assert receiver.rest() == data
    receiver.leave()


def assert_reused(front: Front, path: str) -> None:
    """A pair that comes at once to the path, each on a connection of its own, meets afresh."""
    receiver = front.receive(path)
    sender = front.send(path, b"message for reuse", TYPE)
    assert (receiver.status, receiver.rest()) == (200, b"message for reuse")
    assert (sender.status, sender.lines()[-1]) == (200, RECEIVED)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_the_sender_first(front: Front, path: str, method: str) -> None:
    """Its head comes before there is a receiver; afterwards the path is free at once."""
    sender = front.send(path, b"my message", TYPE, method=method)
    if not front.old:
        assert sender.status == 200
        second = front.open(path, None, method=method)  # whose body never comes
        assert second.status == 400
        second.leave()
    eventually(lambda: front.present() == 1)
    assert_received(front, path, b"my message")
    assert (sender.status, sender.lines()[-1]) == (200, RECEIVED)
    assert_reused(front, path)


def test_the_receiver_first(front: Front, path: str) -> None:
    """It waits without an answer."""
    receiver = front.receive(path)
    assert receiver.silent()
    sender = front.send(path, b"my message", TYPE)
    assert receiver.headers["Content-Type"] == "text/plain"
    assert receiver.headers["X-Robots-Tag"] == "none"
    assert (receiver.status, receiver.rest()) == (200, b"my message")
    assert (sender.status, sender.lines()[-1]) == (200, RECEIVED)
    assert_reused(front, path)


def test_reuse_at_once(front: Front, path: str) -> None:
    """However often."""
    for _ in range(10):
        assert_reused(front, path)


def test_the_sender_leaves_before_any_receiver(front: Front, path: str) -> None:
    """The next one is welcome soon."""
    first = front.send(path, b"my message")
    eventually(lambda: front.present() == 1)
    first.leave()
    eventually(lambda: front.present() == 0, SOON)
    sender = front.send(path, b"next", TYPE)
    if not front.old:
        assert sender.status == 200
    assert_received(front, path, b"next")
    assert sender.status == 200


def test_the_receiver_leaves_after_waiting(front: Front, path: str) -> None:
    """A new pair meets without it."""
    receiver = front.receive(path)
    assert receiver.silent()
    receiver.leave()
    eventually(lambda: front.waiting() == 0, SOON)
    assert_reused(front, path)


def test_byte_by_byte(modern: Front, path: str) -> None:
    """Each of all 256 reaches the receiver before the next one is sent."""
    sender = modern.open(path, None)
    assert sender.status == 200
    sender.send(b"\0")
    receiver = modern.receive(path)
    assert receiver.take(1) == b"\0"
    for byte in range(1, 256):
        sender.send(bytes([byte]))
        assert receiver.take(1) == bytes([byte])
    sender.finish()
    assert receiver.rest() == b""
    assert sender.lines()[-1] == RECEIVED


def test_byte_by_byte_of_known_length(front: Front, path: str) -> None:
    """The same where there are no chunks."""
    receiver = front.receive(path)
    eventually(lambda: front.waiting() == 1)
    sender = front.open(path, 64)
    for byte in range(64):
        sender.send(bytes([byte]))
        assert receiver.take(1) == bytes([byte])
    assert receiver.rest() == b""
    assert sender.lines()[-1] == RECEIVED


def test_30_pairs_at_once(front: Front) -> None:
    """In no particular order."""
    pairs = []
    for number in range(30):
        path, body = fresh_path(), body_of(1000 + number, number)
        receiver = front.receive(path) if number % 2 else None
        sender = front.send(path, body)
        pairs.append((receiver or front.receive(path), sender, body))
    for receiver, sender, body in pairs:
        assert (receiver.status, receiver.rest()) == (200, body)
        assert (sender.status, sender.lines()[-1]) == (200, RECEIVED)


def test_receivers_who_read_once_and_close(old: Front) -> None:
    """As clients of HTTP/1.0 do; that is no failure."""
    for number in range(30):
        path, body = fresh_path(), body_of(1000, number)
        receiver = old.receive(path)
        sender = old.send(path, body)
        assert receiver.sock.recv(65536).endswith(body)
        receiver.leave()
        assert (sender.status, sender.lines()[-1]) == (200, RECEIVED)


@pytest.mark.parametrize("sender_first", [True, False])
def test_a_long_stream(modern: Front, path: str, *, sender_first: bool) -> None:
    """Chunk after chunk, byte for byte."""
    body = body_of(16 * MIB, seed=11)
    if not sender_first:
        receiver = modern.receive(path)
        eventually(lambda: modern.waiting() == 1)
    with modern.sending(path, body, chunked=True) as sender:
        if sender_first:
            receiver = modern.receive(path)
        assert sha(receiver.rest() or b"") == sha(body)
    assert sender.lines()[-1] == RECEIVED


def test_one_signal_is_enough(launch: Launch, path: str) -> None:
    """Who only waits, or is connected, does not keep the daemon."""
    front = launch()
    idle = front.ask("GET", "/version")
    assert idle.status == 200
    receiver, sender = front.receive(fresh_path()), front.send(f"{path}?n=2", b"hello")
    seated = front.receive(f"{path}?n=2")
    eventually(lambda: front.waiting() == 1 and front.present() == 1)
    assert sender.line()
    assert sender.line()
    assert front.daemon.stop() == 0
    for party in (receiver, seated):
        party.answer().assert_refused("[ERROR] Server is shutting down.", 503)
        assert party.headers["Connection"] == "close"
    assert sender.broken_lines() == ["[ERROR] Server is shutting down."]
    front.leave()


def test_a_log_that_nobody_reads(tmp_path: Path) -> None:
    """More than a pipe holds of it stops nobody, not even the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "filepipe", "serve", "--data-dir", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--listen", f"127.0.0.1:{port}=piping"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        eventually(lambda: _listens(port))
        request = b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for _ in range(8):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
                sock.sendall(100 * request + request.replace(b"Host", b"Connection: close\r\nHost"))
                answers = sock.makefile("rb").read()
                assert answers.count(b"200 OK") == 101
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stdout is not None
        assert len(process.stdout.read()) >= 32 * 1024
    finally:
        process.kill()
        process.communicate()


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
