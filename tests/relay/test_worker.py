"""Many moves on one thread: who follows whom, who is cut, and what is given back."""

import os
import resource
import socket
import sys
import threading

import pytest

from filepipe.errors import Broken, TooManyFiles
from filepipe.relay.moves import Next, Outflow
from filepipe.relay.worker import Worker
from tests.conftest import eventually
from tests.relay.descriptors import content, open_descriptors, relay_threads, reset
from tests.relay.running import Relay, read_exactly

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the relay needs splice and epoll, which Linux has"
)


# -- moving


def test_an_intake_from_its_start_to_its_end(relay, file):
    """The bytes are in the file, the gauge shows them, the end is reported."""
    data = os.urandom(3_000_001)
    peer, move = relay.intake(len(data))
    peer.sendall(data)
    assert relay.wait_for_end() is move
    assert move.failure is None
    assert relay.gauge.size == move.moved == len(data)
    assert content(file) == data


def test_growth_is_told_when_the_stream_pauses(relay):
    """Readers on the event loop hear of the last bytes before a silence, without a next one."""
    peer, _ = relay.intake(100)
    for size in (1, 3, 50):
        peer.sendall(bytes(size - relay.gauge.size))
        while relay.growth.get(timeout=10) < size:
            pass
    assert relay.ends.empty()


def test_outflows_follow_an_intake_live(relay):
    """Each from its own offset to its own stop, while the bytes come."""
    data = os.urandom(2_500_000)
    peer, intake = relay.intake(len(data))
    spans = [(0, len(data)), (1, 2_000_003), (999_999, len(data)), (2_499_999, len(data)), (0, 7)]
    readers = [relay.outflow(*span)[0] for span in spans]
    received = {}

    def read(index, start, stop):
        received[index] = read_exactly(readers[index], stop - start)

    threads = [
        threading.Thread(target=read, args=(index, *span)) for index, span in enumerate(spans)
    ]
    for thread in threads:
        thread.start()
    for first in range(0, len(data), 99_991):
        peer.sendall(data[first : first + 99_991])
    for thread in threads:
        thread.join(20)
    assert received == {index: data[slice(*span)] for index, span in enumerate(spans)}
    ended = {relay.wait_for_end() for _ in range(6)}
    assert intake in ended
    assert [move.failure for move in ended] == [None] * 6


def test_a_reader_sees_bytes_before_the_next_ones_come(relay):
    """A line of a chat arrives when it was sent, not when the next one is."""
    peer, _ = relay.intake(15)
    reader, _ = relay.outflow(0, 15)
    for line in (b"one\n", b"two\n", b"three!\n"):
        peer.sendall(line)
        assert read_exactly(reader, len(line)) == line


def test_a_stuck_reader_stalls_nobody(relay, file):
    """Neither the sender nor another reader waits for one that does not read."""
    size = 24 * 1024 * 1024
    peer, intake = relay.intake(size)
    _, stuck = relay.outflow(0, size, buffer=4096)
    reader, other = relay.outflow(0, size)
    sender = threading.Thread(target=peer.sendall, args=(bytes(size),))
    sender.start()
    assert read_exactly(reader, size) == bytes(size)
    sender.join(20)
    assert {relay.wait_for_end(), relay.wait_for_end()} == {intake, other}
    assert stuck.moved < size
    assert os.fstat(file).st_size == size


def test_a_late_outflow_reads_what_is_there(relay):
    """One that starts after the end is no different."""
    peer, intake = relay.intake(1000)
    peer.sendall(b"x" * 1000)
    assert relay.wait_for_end() is intake
    reader, outflow = relay.outflow(10, 1000)
    assert read_exactly(reader, 990) == b"x" * 990
    assert relay.wait_for_end() is outflow


def test_an_intake_of_nothing_wakes_who_waits(relay, file):
    """The event loop may have written all there is: the followers hear of that, too."""
    reader, follower = relay.outflow(0, 4)
    relay.wait_until_parked(follower)
    os.pwrite(file, b"here", 0)
    relay.gauge.size = 4
    _, intake = relay.intake(0)
    assert read_exactly(reader, 4) == b"here"
    assert {relay.wait_for_end(), relay.wait_for_end()} == {intake, follower}
    assert follower.failure is None


# -- peers that leave


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["fin", "reset"])
def test_a_sender_that_leaves_cuts_its_followers(relay, leave):
    """Those that wait for growth, those that are behind, and those that come later."""
    peer, intake = relay.intake(2_000_000)
    parked_reader, parked = relay.outflow(0, 2_000_000)
    peer.sendall(b"part")
    assert read_exactly(parked_reader, 4) == b"part"
    relay.wait_until_parked(parked)
    leave(peer)
    ended = {relay.wait_for_end(), relay.wait_for_end()}
    assert ended == {intake, parked}
    for move in ended:
        assert type(move.failure) is Broken
    _, late = relay.outflow(0, 2_000_000)
    assert relay.wait_for_end() is late
    assert str(late.failure) == "the upload broke off"
    assert relay.gauge.followers == []


@pytest.mark.parametrize(
    "leave",
    [socket.socket.close, reset, lambda peer: peer.shutdown(socket.SHUT_WR)],
    ids=["fin", "reset", "half"],
)
def test_a_reader_that_leaves_at_the_end_of_the_file(relay, leave):
    """It is noticed though there is nothing to send, and nobody else notices."""
    peer, intake = relay.intake(8)
    reader, outflow = relay.outflow(0, 8)
    other_reader, other = relay.outflow(0, 8)
    peer.sendall(b"some")
    assert read_exactly(reader, 4) == read_exactly(other_reader, 4) == b"some"
    relay.wait_until_parked(outflow, other)
    leave(reader)
    assert relay.wait_for_end() is outflow
    assert str(outflow.failure) == "the reader left"
    assert relay.gauge.followers == [other]
    peer.sendall(b"more")
    assert read_exactly(other_reader, 4) == b"more"
    assert {relay.wait_for_end(), relay.wait_for_end()} == {intake, other}
    assert intake.failure is other.failure is None


def test_a_reader_that_leaves_without_reading(relay, file):
    """It is noticed while its socket is full."""
    os.truncate(file, 64 << 20)
    relay.gauge.size = 64 << 20
    reader, outflow = relay.outflow(0, 64 << 20, buffer=4096)
    eventually(lambda: outflow.waits_for is Next.WRITABLE)
    reset(reader)
    assert relay.wait_for_end() is outflow
    assert str(outflow.failure) == "the reader left"


# -- cut from outside


def test_cancelling_an_intake(relay):
    """It ends, its followers are cut, and its connection stays as it was."""
    peer, intake = relay.intake(10)
    _, follower = relay.outflow(0, 10)
    relay.wait_until_parked(follower)
    relay.worker.cancel(intake)
    assert [relay.wait_for_end(), relay.wait_for_end()] == [intake, follower]
    assert str(intake.failure) == "cut off"
    assert str(follower.failure) == "the upload broke off"
    relay.worker.cancel(intake)
    relay.worker.cancel(follower)
    peer.sendall(b"still open")


def test_cancelling_an_outflow(relay):
    """A parked one, and one that is stuck; the upload goes on."""
    peer, intake = relay.intake(10)
    _, parked = relay.outflow(0, 10)
    relay.wait_until_parked(parked)
    relay.worker.cancel(parked)
    relay.worker.cancel(parked)
    assert relay.wait_for_end() is parked
    assert str(parked.failure) == "cut off"
    assert relay.gauge.followers == []
    peer.sendall(bytes(10))
    assert relay.wait_for_end() is intake
    assert intake.failure is None


def test_abandoning_cuts_who_waits(relay):
    """A gauge that nothing fills any more holds nobody back."""
    _, follower = relay.outflow(0, 10)
    relay.wait_until_parked(follower)
    relay.worker.abandon(relay.gauge)
    assert relay.wait_for_end() is follower
    assert str(follower.failure) == "the upload broke off"
    relay.worker.abandon(relay.gauge)


def test_a_socket_that_cannot_be_watched(relay, tmp_path):
    """A move that the kernel refuses fails alone; the thread serves the others."""
    with (tmp_path / "no socket").open("wb") as no_socket:
        move = relay.submit(Outflow(no_socket.fileno(), relay.gauge, 0, 10, 60.0))
        assert relay.wait_for_end() is move
        assert isinstance(move.failure, TooManyFiles)
    peer, intake = relay.intake(4)
    peer.sendall(b"data")
    assert relay.wait_for_end() is intake
    assert intake.failure is None


def test_stopping_cuts_everything(connect, file):
    """Every move ends as broken, the thread with it, and nothing is left open."""
    before = open_descriptors()
    relay = Relay(connect, file)
    _, intake = relay.intake(10)
    _, parked = relay.outflow(0, 10)
    relay.wait_until_parked(parked)
    relay.stop()
    assert {relay.wait_for_end(), relay.wait_for_end()} == {intake, parked}
    for move in (intake, parked):
        assert type(move.failure) is Broken
    kept = open_descriptors().items() - before.items()
    assert all(what.startswith("socket:") for _, what in kept)  # those of the test's connections
    assert len(kept) == 4


def test_what_comes_after_the_end_does_nothing(connect, file, tmp_path):
    """A transfer that ends late must not write into whatever has the bell's number by then."""
    relay = Relay(connect, file)
    _, intake = relay.intake(10)
    relay.stop()
    opened = [os.open(tmp_path / str(n), os.O_RDWR | os.O_CREAT) for n in range(20)]
    relay.worker.abandon(relay.gauge)
    relay.worker.cancel(intake)
    assert [os.fstat(fd).st_size for fd in opened] == [0] * 20
    for fd in opened:
        os.close(fd)


def test_no_descriptors_for_a_worker():
    """A worker that cannot be made says that it is not for ever, and leaves nothing open."""
    before = open_descriptors()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    for spare in range(4):  # epoll, bell and the two ends of the pipe
        free = sorted(set(range(max(before) + spare + 2)) - set(before))[: spare + 1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (free[-1], limits[1]))
        try:
            with pytest.raises(TooManyFiles, match="too many open files, try again later"):
                Worker("relay-none", print, print)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert open_descriptors() == before
    assert relay_threads() == []
