"""One step at a time: socket to file, file to socket, and every way in which that ends."""

import contextlib
import fcntl
import os
import resource
import select
import signal
import socket
import sys

import pytest

from filepipe.errors import Broken, DiskFull, Stalled, StorageFailed, TooManyFiles
from filepipe.relay import moves
from filepipe.relay.moves import STEP, Gauge, Intake, Next, Outflow, Pipe, stalled_by
from tests.relay.descriptors import content, open_descriptors, reset

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the relay needs splice and epoll, which Linux has"
)


def gauge_of(fd, size=0):
    """A gauge that no worker knows."""
    return Gauge(fd, size, None)


def wait_for(move, event=select.POLLIN):
    """Wait until the peer's bytes, or its end, have arrived."""
    poll = select.poll()
    poll.register(move.sock, event)
    assert poll.poll(10_000)


def drive(move, pipe, ends=(Next.DONE, Next.GROWTH)):
    """Take steps, waiting for the peer in between."""
    while (waits_for := move.step(pipe)) not in ends:
        if waits_for is Next.READABLE:
            wait_for(move)
        elif waits_for is Next.WRITABLE:
            wait_for(move, select.POLLOUT)
    return waits_for


@pytest.fixture
def intake(connect, file):
    """Make an intake of so many bytes; returns the sender and it."""
    made = []

    def intake(length, fd=file, size=0):
        peer, ours = connect()
        made.append(Intake(ours.fileno(), gauge_of(fd, size), length, 10.0))
        return peer, made[-1]

    yield intake
    for move in made:
        move.close()


@pytest.fixture
def outflow(connect, file):
    """Make an outflow of a file's bytes; returns the reader and it."""
    made = []

    def outflow(gauge, start, stop, **options):
        peer, ours = connect(**options)
        made.append(Outflow(ours.fileno(), gauge, start, stop, 10.0))
        return peer, made[-1]

    yield outflow
    for move in made:
        move.close()


# -- socket to file


@pytest.mark.parametrize("size", [1, 4095, 4097, 65_537, STEP - 1, STEP, STEP + 1, 3 * STEP + 17])
def test_every_byte_arrives(intake, file, pipe, size):
    """Whatever the size, the file holds exactly what was sent, and the pipe nothing."""
    data = os.urandom(size)
    peer, move = intake(size)
    sent = 0
    while (waits_for := move.step(pipe)) is not Next.DONE:
        if waits_for is Next.READABLE and sent < size:
            sent += peer.send(data[sent : sent + 300_000])
        if waits_for is Next.READABLE:
            wait_for(move)
    assert content(file) == data
    assert (move.moved, move.gauge.size) == (size, size)
    assert_empty(pipe)


def assert_empty(pipe):
    with pytest.raises(BlockingIOError):
        os.read(pipe.reading, 1)


def test_a_silent_sender_is_waited_for(intake, pipe):
    """Nothing there is no end."""
    _, move = intake(10)
    assert move.step(pipe) is Next.READABLE
    assert move.moved == 0


def test_no_bytes_at_all(intake, pipe):
    """An intake of nothing is done before it waits."""
    _, move = intake(0)
    assert move.step(pipe) is Next.DONE


def test_what_was_there_before_stays(intake, file, pipe):
    """The bytes go behind those that are in the file already."""
    os.pwrite(file, b"buffered, ", 0)
    peer, move = intake(7, size=10)
    peer.sendall(b"spliced")
    assert drive(move, pipe) is Next.DONE
    assert content(file) == b"buffered, spliced"
    assert (move.moved, move.gauge.size) == (7, 17)


def test_what_comes_after_the_body_is_left_alone(intake, file, pipe):
    """A next request on the connection is not ours."""
    peer, move = intake(4)
    peer.sendall(b"bodyGET / HTTP/1.1")
    assert drive(move, pipe) is Next.DONE
    assert content(file) == b"body"
    with socket.socket(fileno=os.dup(move.sock)) as ours:
        assert ours.recv(100) == b"GET / HTTP/1.1"


@pytest.mark.parametrize("how", ["close", "shutdown", "reset"])
def test_a_sender_that_leaves_early(intake, file, pipe, how):
    """A FIN or a RST before the last byte breaks the upload; what came is there."""
    peer, move = intake(10)
    peer.sendall(b"part")
    while move.moved < 4:
        wait_for(move)
        move.step(pipe)
    leave = {
        "close": peer.close,
        "shutdown": lambda: peer.shutdown(socket.SHUT_WR),
        "reset": lambda: reset(peer),
    }
    leave[how]()
    wait_for(move)
    with pytest.raises(Broken, match=r"upload ended before its last byte|connection broke"):
        move.step(pipe)
    assert content(file) == b"part"
    assert_empty(pipe)


def test_a_full_disk(intake, full_file, file, pipe):
    """It is said, what was written counts, and the pipe is clean for the next move."""
    peer, move = intake(4 * STEP, fd=full_file)
    peer.setblocking(False)
    failed = None
    while failed is None:
        with contextlib.suppress(BlockingIOError):
            peer.send(bytes(300_000))
        try:
            move.step(pipe)
        except DiskFull as error:
            failed = error
    assert str(failed) == "disk full, try again later"
    assert 0 < move.gauge.size <= STEP
    assert_empty(pipe)
    peer, other = intake(5)
    peer.sendall(b"other")
    assert drive(other, pipe) is Next.DONE
    assert content(file) == b"other"


def test_a_file_size_limit(intake, file, pipe):
    """The limit of `ulimit -f` is a full disk too; Python ignores the signal that comes with it."""
    assert signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN
    peer, move = intake(20_000)
    peer.sendall(bytes(20_000))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(DiskFull):
            drive(move, pipe)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert move.gauge.size == 10_000
    assert_empty(pipe)


def test_a_storage_that_fails(intake, file, pipe):
    """Any other fault of the file is the storage's, and leaves the pipe clean as well."""
    unwritable = os.open(f"/proc/self/fd/{file}", os.O_RDONLY)
    peer, move = intake(4, fd=unwritable)
    peer.sendall(b"data")
    with pytest.raises(StorageFailed, match="failed while writing"):
        drive(move, pipe)
    os.close(unwritable)
    assert move.gauge.size == 0
    assert_empty(pipe)


# -- file to socket


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (0, 2 * STEP + 5), (17, STEP), (STEP, STEP + 1), (5, 5)]
)
def test_exactly_these_bytes_go_out(outflow, file, pipe, start, stop):
    """From `start` to before `stop`, and not one more."""
    data = os.urandom(2 * STEP + 5)
    os.pwrite(file, data, 0)
    peer, move = outflow(gauge_of(file, len(data)), start, stop)
    peer.setblocking(False)
    received = b""
    while (waits_for := move.step(pipe)) is not Next.DONE:
        if waits_for is Next.WRITABLE:
            wait_for_peer(peer)
            received += peer.recv(STEP)
    peer.setblocking(True)
    while len(received) < stop - start:
        received += peer.recv(STEP)
    assert received == data[start:stop]
    assert (move.moved, move.offset) == (stop - start, stop)


def wait_for_peer(peer):
    assert select.select([peer], [], [], 10)[0]


def test_the_end_of_what_is_there(outflow, file, pipe):
    """Only what the gauge shows is sent, whatever the file holds; then growth is waited for."""
    os.pwrite(file, b"shown hidden", 0)
    gauge = gauge_of(file, 5)
    peer, move = outflow(gauge, 0, 12)
    assert drive(move, pipe) is Next.GROWTH
    gauge.size = 6
    assert drive(move, pipe) is Next.GROWTH
    assert peer.recv(100) == b"shown "
    gauge.size = 12
    assert drive(move, pipe) is Next.DONE
    assert peer.recv(100) == b"hidden"


def test_a_reader_that_does_not_read(outflow, file, pipe):
    """A full socket is waited for, and nothing is lost."""
    os.truncate(file, 64 * STEP)
    _, move = outflow(gauge_of(file, 64 * STEP), 0, 64 * STEP, buffer=4096)
    assert drive(move, pipe, [Next.WRITABLE]) is Next.WRITABLE
    assert 0 < move.moved == move.offset < 64 * STEP


def test_a_broken_upload_ends_its_readers(outflow, file, pipe):
    """Nothing more is sent of it, but who has all that was asked for has it."""
    os.pwrite(file, b"part", 0)
    gauge = gauge_of(file, 4)
    _, waiting = outflow(gauge, 4, 10)
    _, behind = outflow(gauge, 0, 10)
    _, content_with_less = outflow(gauge, 0, 4)
    assert drive(content_with_less, pipe) is Next.DONE
    gauge.broken = True
    for move in (waiting, behind):
        with pytest.raises(Broken, match="the upload broke off"):
            move.step(pipe)
        assert move.moved == 0
    assert content_with_less.step(pipe) is Next.DONE


def test_a_reader_that_left(outflow, file, pipe):
    """A reset is seen at the next byte."""
    os.truncate(file, 64 * STEP)
    peer, move = outflow(gauge_of(file, 64 * STEP), 0, 64 * STEP)
    reset(peer)
    wait_for(move)
    with pytest.raises(Broken, match="the reader left"):
        drive(move, pipe)


def test_a_file_that_is_too_short(outflow, file, pipe):
    """What was counted must be there."""
    os.pwrite(file, b"1234", 0)
    _, move = outflow(gauge_of(file, 10), 4, 10)
    with pytest.raises(StorageFailed, match="less than was written"):
        move.step(pipe)


def test_a_file_that_cannot_be_read(outflow, file, pipe):
    """Another fault of the file is the storage's, not the reader's."""
    unreadable = os.open(f"/proc/self/fd/{file}", os.O_WRONLY)
    _, move = outflow(gauge_of(unreadable, 10), 0, 10)
    with pytest.raises(StorageFailed, match="failed while reading"):
        move.step(pipe)
    os.close(unreadable)


# -- what both share


def test_a_move_has_a_descriptor_of_its_own(connect, file):
    """The loop may close its socket; the number of the move stays good, and is given back."""
    before = open_descriptors()
    peer, ours = connect()
    move = Intake(ours.fileno(), gauge_of(file), 4, 10.0)
    ours.close()
    pipe = Pipe()
    peer.sendall(b"data")
    assert drive(move, pipe) is Next.DONE
    pipe.close()
    move.close()
    peer.close()
    assert open_descriptors() == before


def test_no_descriptor_left(connect, file):
    """A move that cannot have its own refuses to begin, and says that it is not for ever."""
    _, ours = connect()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(TooManyFiles, match="too many open files, try again later"):
            Outflow(ours.fileno(), gauge_of(file), 0, 1, 10.0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_who_may_stall(intake, outflow, file):
    """Only a peer whose turn it is, and only beyond its limit."""
    _, taking = intake(10)
    _, giving = outflow(gauge_of(file, 0), 0, 10)
    for move in (taking, giving):
        now = move.last_progress
        for waits_for in Next:
            move.waits_for = waits_for
            assert not move.stalled(now + 10.0)
            assert move.stalled(now + 10.1) == (waits_for in (Next.READABLE, Next.WRITABLE))
        move.progressed(1)
        assert not move.stalled(now + 10.0)


def test_the_words_for_a_stall(intake, outflow, file):
    """The same as those of the other path."""
    error = stalled_by(intake(10)[1])
    assert isinstance(error, Stalled)
    assert str(error) == "the peer sent nothing for 10 seconds"
    assert str(stalled_by(outflow(gauge_of(file), 0, 10)[1])) == (
        "the peer took nothing for 10 seconds"
    )


def test_a_small_pipe_will_do(intake, file, monkeypatch):
    """Where a user may have no larger pipes the ordinary ones are used."""
    real = fcntl.fcntl

    def refuse(fd, command, *argument):
        if command == fcntl.F_SETPIPE_SZ:
            raise PermissionError
        return real(fd, command, *argument)

    monkeypatch.setattr(moves.fcntl, "fcntl", refuse)
    pipe = Pipe()
    assert 0 < pipe.capacity < STEP
    data = os.urandom(3 * pipe.capacity + 1)
    peer, move = intake(len(data))
    sent = 0
    while (waits_for := move.step(pipe)) is not Next.DONE:
        if waits_for is Next.READABLE and sent < len(data):
            sent += peer.send(data[sent:])
    pipe.close()
    assert content(file) == data
