"""Whatever the sizes of pipes, whoever pauses or leaves: no byte is lost or repeated."""

import contextlib
import fcntl
import socket
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filepipe.errors import Broken
from filepipe.relay import moves
from filepipe.relay.moves import Next
from filepipe.relay.passage import Passage, Sink
from tests.relay.descriptors import open_descriptors

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the relay needs splice and epoll, which Linux has"
)


class Table:
    """A home without a thread: whoever may step does so when the test says."""

    def __init__(self):
        self.asked = False

    def resume(self, move):
        if move.waits_for is Next.OTHERS:
            move.waits_for = Next.TURN

    def count(self, what):
        pass

    def end(self, move, failure):
        assert move.waits_for is not Next.DONE
        move.waits_for = Next.DONE
        move.failure = failure
        move.ended()

    def ask(self):
        self.asked = True


class Walk:
    """A passage that goes step by step through whatever order of things a test thinks of."""

    def __init__(self, data, count):
        self.data = data
        self.table = Table()
        self.sockets = [socket.socketpair() for _ in range(count + 1)]
        for end in (end for pair in self.sockets for end in pair):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
        (self.sender, source), *pairs = self.sockets
        self.readers = [reader for reader, _ in pairs]
        self.passage = Passage(source.fileno(), len(data), count, 9.0, 9.0, self.table)
        self.sinks = [Sink(ours.fileno(), self.passage) for _, ours in pairs]
        self.received = [b""] * count
        self.sent = 0
        self.left = set()
        self.passage.open(self.table.ask)
        for sink in self.sinks:
            sink.begun()

    def step(self, move):
        """Let it step unless it has to wait; a move that waits for its socket may try."""
        if move in self.left or move.waits_for in (Next.OTHERS, Next.DONE):
            return
        move.waits_for = Next.TURN
        waits_for = move.step(None)
        move.waits_for = waits_for
        if waits_for is Next.DONE and move is not self.passage.source:
            self.leave(move)

    def leave(self, sink, failure=None):
        if sink not in self.left:
            self.left.add(sink)
            sink.failure = failure
            sink.ended()

    def send(self, size):
        with contextlib.suppress(BlockingIOError):
            self.sent += self.sender.send(self.data[self.sent : self.sent + size])

    def read(self, index, size):
        with contextlib.suppress(BlockingIOError):
            self.received[index] += self.readers[index].recv(size)

    def do(self, what, which, size):
        index = which % len(self.sinks)
        if what == "send":
            self.send(size)
        elif what == "take":
            self.step(self.passage.source)
        elif what == "give":
            self.step(self.sinks[index])
        elif what == "read":
            self.read(index, size)
        elif what == "leave":
            self.leave(self.sinks[index], Broken("the receiver left"))
        elif self.table.asked:
            self.passage.agree()
        self.check()

    def check(self):
        """What holds at any time."""
        for received, sink in zip(self.received, self.sinks, strict=True):
            assert received == self.data[: len(received)]
            assert self.passage.agreed or sink.moved < len(self.data) or not self.data

    def finish(self):
        """Let everybody go on until it is over."""
        source = self.passage.source
        for _ in range(100_000):
            if source.waits_for is Next.DONE:
                break
            self.send(100_000)
            for index, sink in enumerate(self.sinks):
                self.step(sink)
                self.read(index, 100_000)
            self.step(source)
            self.do("agree", 0, 0)
        for index in range(len(self.sinks)):
            self.read(index, 100_000)

    def close(self):
        for move in (self.passage.source, *self.sinks):
            move.close()
        for end in (end for pair in self.sockets for end in pair):
            end.close()


STEPS = st.tuples(
    st.sampled_from(["send", "take", "give", "give", "read", "read", "leave", "agree"]),
    st.integers(0, 3),
    st.integers(1, 20_000),
)


@given(
    data=st.integers(0, 60_000),
    pipes=st.lists(st.integers(1, 6), min_size=5, max_size=5),
    count=st.integers(1, 4),
    steps=st.lists(STEPS, max_size=60),
    seed=st.randoms(use_true_random=False),
)
@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_order_of_things(monkeypatch, data, pipes, count, steps, seed):
    """Pipes of a few pages, pieces of any size, pauses, and receivers that leave."""
    before = open_descriptors()
    sizes = iter(pipes)

    def tiny(fd):
        return fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 4096 * next(sizes))

    with monkeypatch.context() as context:
        context.setattr(moves, "_enlarge", tiny)
        walk = Walk(seed.randbytes(data), count)
    try:
        for what, which, size in steps:
            walk.do(what, which, size)
        stayed = [index for index, sink in enumerate(walk.sinks) if sink.failure is None]
        walk.finish()
        assert walk.passage.source.waits_for is Next.DONE
        assert (walk.passage.source.failure is None) == bool(stayed)
        for index in stayed:
            assert walk.received[index] == walk.data
            assert walk.sinks[index].moved == len(walk.data)
    finally:
        walk.close()
    assert open_descriptors() == before
