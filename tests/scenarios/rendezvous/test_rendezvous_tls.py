"""The same over TLS, where no kernel moves a body and a buffer more lies in between."""

from __future__ import annotations

import itertools
import ssl
import threading

import pytest

from tests.conftest import Daemon, eventually
from tests.scenarios.answers import assert_refused
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.rendezvous.conftest import SECURE
from tests.scenarios.rendezvous.parties import Receiver, Sender, is_free, waiting
from tests.web.ways import GENERAL

pytestmark = pytest.mark.parametrize("hall", ["relay"], indirect=True)

BODY = body_of(MIB)

FRAMINGS = pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])


@pytest.fixture(params=["1.2", "1.3"])
def secure(request: pytest.FixtureRequest) -> dict[str, object]:
    """How to come by https."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if request.param == "1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return {"listener": SECURE, "tls": context}


PAIRS = [pair for pair in itertools.product([True, False], repeat=2) if any(pair)]


@FRAMINGS
@pytest.mark.parametrize("size", [0, 5, 70_000, 3 * MIB])
@pytest.mark.parametrize(("sends", "takes"), PAIRS)
def test_a_hand_over(
    hall: Daemon, path: str, secure: dict[str, object],
    *, sends: bool, takes: bool, size: int, chunked: bool,
) -> None:  # fmt: skip
    """From one to the other, if one of them or both come by https."""
    body = body_of(size)
    with (
        Receiver(hall, path, **secure if takes else {}) as receiver,
        Sender(hall, path, None if chunked else size, **secure if sends else {}) as sender,
    ):
        sending = threading.Thread(target=_send, args=(sender, body, chunked))
        sending.start()
        assert sha(receiver.whole() or b"") == sha(body)
        sending.join()
        assert sender.told().status == 200


def _send(sender: Sender, body: bytes, chunked: bool) -> None:
    if body:
        sender.send(body)
    if chunked:
        sender.sock.sendall(b"0\r\n\r\n")


@FRAMINGS
def test_a_receiver_who_dies_with_the_tail_unread(
    hall: Daemon, path: str, secure: dict[str, object], *, chunked: bool
) -> None:
    """The sender waits as long as somebody might take it, and is told that nobody did."""
    with (
        Receiver(hall, path, receive_buffer=4096, **secure) as receiver,
        Sender(hall, path, None if chunked else MIB) as sender,
    ):
        _send(sender, BODY, chunked)
        assert receiver.begin() == 200
        eventually(lambda: is_free(hall, path))
        sender.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sender.sock.recv(1)
        sender.sock.settimeout(20)
        receiver.leave()
        assert_refused(sender.told(), 502, "the receiver left before it had everything")


@FRAMINGS
def test_a_receiver_who_closes_at_the_end(
    hall: Daemon, path: str, secure: dict[str, object], *, chunked: bool
) -> None:
    """He has received it, however fast he goes."""
    for _ in range(5):
        with (
            Receiver(hall, path, receive_buffer=4096, **secure) as receiver,
            Sender(hall, path, None if chunked else MIB) as sender,
        ):
            _send(sender, BODY, chunked)
            assert receiver.begin() == 200
            assert sha(receiver.take(MIB)) == sha(BODY)
            if chunked:
                assert receiver.rest() == b""
            receiver.leave()
            assert sender.told().status == 200


@FRAMINGS
@pytest.mark.parametrize("by_reset", [False, True], ids=["fin", "rst"])
def test_a_sender_who_leaves(
    hall: Daemon, path: str, secure: dict[str, object], *, by_reset: bool, chunked: bool
) -> None:
    """In the middle: the receiver gets no end."""
    with Receiver(hall, path, *GENERAL, **secure) as receiver:
        eventually(lambda: waiting(hall) == 1)
        with Sender(hall, path, None if chunked else 2 * MIB, **secure) as sender:
            sender.send(BODY)
            assert receiver.begin() == 200
            assert sha(receiver.take(MIB)) == sha(BODY)
            if by_reset:
                sender.reset()
        assert receiver.rest() is None
    eventually(lambda: is_free(hall, path))
