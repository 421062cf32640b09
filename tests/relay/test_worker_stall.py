"""Peers that are silent for too long, by a clock that a test sets."""

import contextlib
import os
import sys
import termios
import time

import pytest

from filepipe.errors import Broken, Stalled
from filepipe.relay import moves, worker
from filepipe.relay.moves import Next, Outflow
from tests.conftest import eventually
from tests.relay.running import read_exactly

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the relay needs splice and epoll, which Linux has"
)


class FakeTime:
    """A clock for stalls; ticks come fast."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """The time that the worker and its moves go by."""
    clock = FakeTime()
    monkeypatch.setattr(worker, "time", clock)
    monkeypatch.setattr(moves, "time", clock)
    monkeypatch.setattr(worker, "TICK", 0.02)
    return clock


def pass_time(relay, clock, seconds):
    """Let so much time pass, and the worker look for stalled peers."""
    clock.now += seconds
    eventually(lambda: relay.worker._last_tick == clock.now)


def test_a_silent_sender(clock, relay):
    """After its limit the upload is broken, and its followers hear of it."""
    peer, intake = relay.intake(10, stall=30.0)
    _, follower = relay.outflow(0, 10, stall=30.0)
    pass_time(relay, clock, 29.0)
    peer.sendall(b"x")
    eventually(lambda: intake.moved == 1 and intake.waits_for is Next.READABLE)
    pass_time(relay, clock, 29.0)
    assert relay.ends.empty()
    pass_time(relay, clock, 2.0)
    assert [relay.wait_for_end(), relay.wait_for_end()] == [intake, follower]
    assert isinstance(intake.failure, Stalled)
    assert str(intake.failure) == "the peer sent nothing for 30 seconds"
    assert type(follower.failure) is Broken


def test_a_reader_that_takes_nothing(clock, relay, file):
    """After its limit it is cut."""
    os.truncate(file, 64 << 20)
    relay.gauge.size = 64 << 20
    _, outflow = relay.outflow(0, 64 << 20, stall=30.0, buffer=4096)
    eventually(lambda: outflow.waits_for is Next.WRITABLE)
    wait_until_still(outflow.sock)
    pass_time(relay, clock, 1.0)
    pass_time(relay, clock, 28.0)
    assert relay.ends.empty()
    pass_time(relay, clock, 2.0)
    assert relay.wait_for_end() is outflow
    assert str(outflow.failure) == "the peer took nothing for 30 seconds"


def test_a_slow_reader_is_not_stalled(clock, relay, file):
    """What it takes is less than makes the socket writable again, but it is not nothing."""
    os.truncate(file, 64 << 20)
    relay.gauge.size = 64 << 20
    reader, outflow = relay.outflow(0, 64 << 20, stall=30.0)
    eventually(lambda: outflow.waits_for is Next.WRITABLE)
    wait_until_still(outflow.sock)
    moved = outflow.moved
    for _ in range(4):
        pass_time(relay, clock, 20.0)
        unsent = moves.waiting(outflow.sock, termios.TIOCOUTQ)
        while moves.waiting(outflow.sock, termios.TIOCOUTQ) == unsent:
            reader.recv(65_536)
    assert relay.ends.empty()
    assert outflow.moved == moved


def test_a_reader_without_bytes_to_take_is_not_stalled(clock, relay):
    """It may wait for the sender as long as the sender may be silent."""
    peer, intake = relay.intake(10, stall=1e6)
    reader, follower = relay.outflow(0, 10, stall=30.0)
    relay.wait_until_parked(follower)
    pass_time(relay, clock, 1000.0)
    peer.sendall(bytes(10))
    assert read_exactly(reader, 10) == bytes(10)
    assert {relay.wait_for_end(), relay.wait_for_end()} == {intake, follower}
    assert follower.failure is None


class Scripted(Outflow):
    """Waits for what the test says."""

    def __init__(self, sock, gauge, *script):
        super().__init__(sock, gauge, 0, 10, 30.0)
        self.script = list(script)

    def step(self, pipe):
        return self.script.pop(0)


def full_socket(connect):
    """Our end of a connection that takes nothing more."""
    peer, ours = connect(buffer=4096)
    with contextlib.suppress(BlockingIOError):
        while True:
            ours.send(bytes(65_536))
    wait_until_still(ours.fileno())
    return peer, ours


def wait_until_still(sock):
    """Wait until the peer's system has acknowledged what it ever will."""
    unsent = -1
    while unsent != (unsent := moves.waiting(sock, termios.TIOCOUTQ)):
        time.sleep(0.1)


@pytest.mark.parametrize("first", ["growth", "nothing"])
def test_the_limit_begins_with_the_readers_turn(clock, relay, connect, first):
    """What the sender's silence, or our own preparation, took is not the reader's fault."""
    _, ours = full_socket(connect)
    if first == "growth":
        move = relay.submit(Scripted(ours.fileno(), relay.gauge, Next.GROWTH, Next.WRITABLE))
        relay.wait_until_parked(move)
        pass_time(relay, clock, 1000.0)
        peer, _ = relay.intake(10, stall=1e6)
        peer.sendall(b"x")
    else:
        move = Scripted(ours.fileno(), relay.gauge, Next.WRITABLE)
        pass_time(relay, clock, 1000.0)
        relay.submit(move)
    eventually(lambda: move.waits_for is Next.WRITABLE)
    pass_time(relay, clock, 29.0)
    assert relay.ends.empty()
    pass_time(relay, clock, 2.0)
    assert relay.wait_for_end() is move
    assert isinstance(move.failure, Stalled)
