"""The slowest receiver who is there sets the pace, in little memory; who goes hurts nobody else."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from filepipe.channels.window import RESERVE
from tests.conftest import Daemon, eventually
from tests.scenarios.answers import assert_refused, parse
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.rendezvous.parties import Receiver, Sender, is_free, resident, waiting
from tests.web.ways import GENERAL

STUCK = 4096
"""A receive buffer that makes its owner a burden to everybody."""

BLOCK = body_of(MIB)

FRAMINGS = pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])


@contextlib.contextmanager
def sending(sender: Sender, blocks: int) -> Iterator[list[int]]:
    """Send so many times a megabyte beside us; gives a list with the number of those that went."""
    gone = [0]

    def send() -> None:
        with contextlib.suppress(OSError):
            for _ in range(blocks):
                sender.send(BLOCK)
                gone[0] += 1

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield gone
    finally:
        if thread.is_alive():
            sender.sock.shutdown(socket.SHUT_RDWR)
        thread.join(30)


def stands_still(gone: list[int]) -> int:
    """How many megabytes went before nothing went any more."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < 0.4:
        if gone[0] != before:
            before, since = gone[0], time.monotonic()
        time.sleep(0.02)
    return gone[0]


@FRAMINGS
def test_the_slowest_sets_the_pace(hall: Daemon, path: str, *, chunked: bool) -> None:
    """Of 200 MB a sender gets rid of what the kernels hold; memory is that of one window."""
    blocks = 200
    before = resident(hall)
    with (
        Sender(hall, f"{path}?n=2", None if chunked else blocks * MIB) as sender,
        Receiver(hall, path) as quick,
        Receiver(hall, path, receive_buffer=STUCK) as slow,
        sending(sender, blocks) as gone,
    ):
        assert quick.begin() == 200
        assert sha(quick.take(MIB)) == sha(BLOCK)
        assert stands_still(gone) < blocks // 2  # what the kernels hold
        assert hall.state()["memory"]["used"] <= RESERVE
        assert hall.state()["disk"]["used"] == 0
        assert resident(hall) < before + 24 * MIB
        assert slow.begin() == 200
        assert sha(slow.take(4 * MIB)) == sha(BLOCK * 4)
        eventually(lambda: gone[0] >= 4)
        slow.reset()
        for _ in range(blocks - 1):
            assert quick.response.read(MIB) == BLOCK
        if chunked:
            sender.sock.sendall(b"0\r\n\r\n")
        assert quick.response.read() == b""
        assert resident(hall) < before + 24 * MIB
        assert_refused(sender.told(), 502, "1 of 2 receivers got everything")


@FRAMINGS
def test_a_sender_waits_for_nobody_but_his_own(hall: Daemon, path: str, *, chunked: bool) -> None:
    """A transfer that stands still holds up no other."""
    with (
        Sender(hall, path, None if chunked else 200 * MIB) as sender,
        Receiver(hall, path, receive_buffer=STUCK),
        sending(sender, 200) as gone,
    ):
        stands_still(gone)
        for number in range(3):
            other = f"{path}-{number}"
            with Receiver(hall, other) as receiver, Sender(hall, other, MIB) as another:
                another.send(BLOCK)
                assert receiver.whole() == BLOCK
                assert another.told().status == 200


WAYS_TO_LEAVE = {"fin": Receiver.leave, "rst": Receiver.reset}
MOMENTS = ["before the start", "in the middle"]


@pytest.mark.parametrize(
    ("moment", "way", "number", "chunked"),
    [
        *itertools.product(MOMENTS, WAYS_TO_LEAVE, [2], [False, True]),
        *itertools.product(MOMENTS, ["rst"], [3], [False]),
    ],
)
def test_one_abort_hurts_nobody_else(
    hall: Daemon, path: str, moment: str, way: str, number: int, *, chunked: bool
) -> None:
    """The others get everything, and the sender the truth; then the key is as new."""
    leave = WAYS_TO_LEAVE[way]
    with contextlib.ExitStack() as parties:
        receivers = [parties.enter_context(Receiver(hall, path, *GENERAL)) for _ in range(number)]
        eventually(lambda: waiting(hall) == number)
        length = None if chunked else 2 * MIB + 5
        sender = parties.enter_context(Sender(hall, f"{path}?n={number}", length))
        eventually(lambda: waiting(hall) == 0)
        if moment == "before the start":
            leave(receivers[0])
        sender.send(BLOCK)
        for receiver in receivers[1:]:
            assert receiver.begin() == 200
            assert receiver.take(MIB) == BLOCK
        if moment == "in the middle":
            assert receivers[0].begin() == 200
            receivers[0].take(1000)
            leave(receivers[0])
        sender.send(BLOCK)
        for receiver in receivers[1:]:
            assert receiver.take(MIB) == BLOCK
        answer = parse(sender.finish(b"hello"))
        assert [receiver.rest() for receiver in receivers[1:]] == [b"hello"] * (number - 1)
        assert_refused(answer, 502, f"{number - 1} of {number} receivers got everything")
    with Receiver(hall, path) as receiver, Sender(hall, path, 5) as sender:
        sender.send(b"hello")
        assert receiver.whole() == b"hello"
        assert sender.told().status == 200


def test_everybody_leaves(hall: Daemon, path: str) -> None:
    """One after the other: the sender is told, and the key is free."""
    with Sender(hall, f"{path}?n=2", None) as sender:
        receivers = [Receiver(hall, path, *GENERAL) for _ in range(2)]
        sender.send(BLOCK)
        for receiver in receivers:
            assert receiver.begin() == 200
            receiver.take(MIB)
            receiver.leave()
        assert_refused(sender.told(), 502, "every receiver left")
    assert is_free(hall, path)


def test_a_silent_receiver_counts_no_longer(start, each_path: str, path: str) -> None:
    """After --stall-timeout the others go on; a silent sender ends it after --idle-timeout."""
    hall = start(each_path, "--stall-timeout", "0.6", "--idle-timeout", "1.2")
    with (
        Sender(hall, f"{path}?n=2", 12 * MIB) as sender,
        Receiver(hall, path) as quick,
        Receiver(hall, path, receive_buffer=STUCK) as stuck,
        sending(sender, 11),
    ):
        assert quick.begin() == 200
        assert sha(quick.take(11 * MIB)) == sha(BLOCK * 11)
        assert_refused(sender.told(), 408, "the peer sent nothing for 1.2 seconds")
        assert quick.rest() is None
        assert stuck.whole() is None
    eventually(lambda: hall.state()["memory"]["used"] == 0)
    hall.assert_clean_log()
