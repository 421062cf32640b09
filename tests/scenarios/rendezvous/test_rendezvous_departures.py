"""Who leaves is missed at once, whatever of his is unread; who has sent everything may go."""

from __future__ import annotations

import ssl
import threading
import time

import pytest

from tests.conftest import Daemon, curl, eventually
from tests.scenarios.answers import assert_refused
from tests.scenarios.peers import MIB, body_of, sha, stored
from tests.scenarios.rendezvous.conftest import SECURE
from tests.scenarios.rendezvous.parties import Receiver, Sender, is_free, waiting
from tests.web.ways import GENERAL, PLAIN

ONE = pytest.mark.parametrize("hall", ["relay"], indirect=True)
"""Where no body is moved, one daemon is enough."""

WITHIN = 10.0
"""Seconds within which a departure is noticed: far more than an idle machine needs, and far less
than whatever would notice it by a silence."""

STUCK = 4096
"""A receive buffer that makes its owner a burden to everybody."""


def missed(daemon: Daemon, path: str) -> bool:
    """Whether the key becomes free within the promised time."""
    eventually(lambda: is_free(daemon, path), WITHIN)
    return True


def fill(daemon: Daemon, path: str, sender: Sender) -> None:
    """Send until nothing of it is taken any more, and no further: a FIN must get through."""
    sent = taken = 0
    while sent - taken < MIB // 4:
        sender.send(body_of(MIB // 8))
        sent += MIB // 8
        before, taken = taken - 1, stored(daemon, path[1:])
        while taken > before:
            time.sleep(0.01)
            before, taken = taken, stored(daemon, path[1:])


BODIES = {
    "small": (5, 5), "small unsent": (5, 0), "50 MB": (50 * MIB, 100_000), "chunked": (None, 5),
    "silent": (None, 0),
}  # fmt: skip


@ONE
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("by_reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_a_sender_that_waits(
    hall: Daemon, path: str, tls: ssl.SSLContext,
    *, body: tuple[int | None, int], by_reset: bool, secure: bool,
) -> None:  # fmt: skip
    """His key is free for the next one, although his body is not read."""
    length, sent = body
    options = {"listener": SECURE, "tls": tls} if secure else {}
    with Sender(hall, path, length, **options) as sender:
        sender.send(bytes(sent)) if sent else None
        eventually(lambda: not is_free(hall, path))
        sender.reset() if by_reset else sender.leave()
        assert missed(hall, path)


@ONE
@pytest.mark.parametrize("by_reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("headers", [PLAIN, GENERAL], ids=["doorman", "general"])
def test_a_receiver_that_waits(
    hall: Daemon, path: str, *, headers: tuple[str, ...], by_reset: bool
) -> None:
    """The one who came after him gets what is sent."""
    with Receiver(hall, path, *headers) as gone, Receiver(hall, path, *headers) as stays:
        eventually(lambda: waiting(hall) == 2)
        gone.reset() if by_reset else gone.leave()
        eventually(lambda: waiting(hall) == 1, WITHIN)
        with Sender(hall, path, 5) as sender:
            sender.send(b"hello")
            assert sender.told().status == 200
        assert stays.whole() == b"hello"


@pytest.mark.parametrize("by_reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("length", [50 * MIB, None], ids=["length", "chunked"])
def test_a_sender_in_the_middle(
    hall: Daemon, path: str, *, length: int | None, by_reset: bool
) -> None:
    """Also while a receiver takes nothing: the key is free, and he gets no whole body."""
    with Receiver(hall, path, receive_buffer=STUCK) as stuck:
        eventually(lambda: waiting(hall) == 1)
        with Sender(hall, path, length) as sender:
            fill(hall, path, sender)
            sender.reset() if by_reset else sender.leave()
            assert missed(hall, path)
        assert stuck.whole() is None


@pytest.mark.parametrize(
    ("size", "half", "chunked"),
    [(5, False, False), (5, True, True), (70_000, False, True), (3_300_000, False, False),
     (3_300_000, True, True), (3_700_000, True, False), (3_700_000, False, True)],
)  # fmt: skip
def test_a_sender_that_has_sent_everything(
    hall: Daemon, path: str, size: int, *, half: bool, chunked: bool
) -> None:
    """He may close at once: his receiver gets it whole, however slowly."""
    body = body_of(size)
    with Receiver(hall, path, *GENERAL, receive_buffer=STUCK) as slow:
        eventually(lambda: waiting(hall) == 1)
        with Sender(hall, path, None if chunked else size) as sender:
            eventually(lambda: waiting(hall) == 0)

            def send() -> None:
                sender.send(body)
                if chunked:
                    sender.sock.sendall(b"0\r\n\r\n")
                sender.half_close() if half else sender.leave()

            sending = threading.Thread(target=send)
            sending.start()
            sending.join(0.5)
            time.sleep(0.1)  # for the daemon to see the end, if it looks
            assert sha(slow.whole() or b"") == sha(body)
            sending.join()
            if half:
                assert sender.told().text == "delivered to 1 receiver\n"
    assert missed(hall, path)


def test_a_receiver_in_the_middle(hall: Daemon, path: str) -> None:
    """The only one is gone: the sender, who is still sending, is told so."""
    with Receiver(hall, path) as receiver, Sender(hall, path, 50 * MIB) as sender:
        sender.send(body_of(MIB))
        assert receiver.begin() == 200
        receiver.take(MIB // 2)
        receiver.leave()
        assert_refused(sender.told(), 502, "every receiver left")
    assert missed(hall, path)
    assert curl("--head", hall.url(path)).stdout.startswith(b"HTTP/1.1 404 ")
