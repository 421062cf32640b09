"""Where the daemon comes to its limits, or to its end: who is told what, and what is left."""

from __future__ import annotations

import contextlib
import select
import shutil
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Daemon, eventually
from tests.scenarios.answers import ask, assert_refused
from tests.scenarios.peers import MIB, at_rest, body_of, descriptors, sha
from tests.scenarios.rendezvous.parties import Receiver, Sender, is_free, waiting
from tests.web.ways import GENERAL, PLAIN

Start = Callable[..., Daemon]

BODY = body_of(MIB)


def drain(daemon: Daemon) -> None:
    """The first signal, until it was heard."""
    daemon.process.send_signal(signal.SIGTERM)
    eventually(lambda: daemon.state()["phase"] == "draining")


def test_draining(start: Start) -> None:
    """Who waits is sent away at once, a transfer comes to its end, and so does the daemon."""
    daemon = start("--drain-timeout", "1h")
    with contextlib.ExitStack() as parties:
        come = parties.enter_context
        receiver, sender = come(Receiver(daemon, "/k")), come(Sender(daemon, "/k", 2 * MIB))
        sender.send(BODY)
        assert receiver.begin() == 200
        seated = come(Receiver(daemon, "/several"))
        several = come(Sender(daemon, "/several?n=2", None))
        alone = come(Sender(daemon, "/alone", 5))
        waiters = [come(Receiver(daemon, "/nobody", *fields)) for fields in (PLAIN, GENERAL)]
        eventually(lambda: waiting(daemon) == 2)
        eventually(lambda: len(daemon.state()["keys"]) == 3)
        drain(daemon)
        for party in (seated, several, alone, *waiters):
            answer = party.told()
            assert_refused(answer, 503, "shutting down")
            assert answer["Retry-After"]
        late = come(Sender(daemon, "/late", 5))
        assert_refused(late.told(), 503, "shutting down")
        sender.send(BODY)
        assert sha(receiver.rest() or b"") == sha(BODY * 2)
        assert sender.told().status == 200
    assert daemon.process.wait(20) == 0
    daemon.assert_clean_log()


def test_the_second_signal(start: Start) -> None:
    """It cuts what runs: the receiver gets no end, and the daemon ends with 0."""
    daemon = start("--no-relay", "--drain-timeout", "1h")
    with Receiver(daemon, "/k") as receiver, Sender(daemon, "/k", 2 * MIB) as sender:
        sender.send(BODY)
        assert receiver.begin() == 200
        drain(daemon)
        daemon.process.send_signal(signal.SIGTERM)
        assert receiver.rest() is None
        assert sender.answer()[9:12] in (b"502", b"503", b"")
    assert daemon.process.wait(20) == 0
    daemon.assert_clean_log()


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with room for three keys, for three who wait, and for one window.

    The last test ends it.
    """
    arguments = ["--max-keys", "3", "--max-memory", "512K", "--max-body-size", "1M",
                 "--retention", "0.2", "--drain-timeout", "1h"]  # fmt: skip
    daemon = Daemon(arguments, tmp_path_factory.mktemp("narrow"))
    yield daemon
    daemon.kill()


def test_limits(narrow: Daemon) -> None:
    """Of keys, of those who wait, of memory and of a body: the newcomer is refused, none else."""
    with contextlib.ExitStack() as parties:
        senders = [parties.enter_context(Sender(narrow, f"/{n}", 5)) for n in range(3)]
        eventually(lambda: len(narrow.state()["keys"]) == 3)
        with Sender(narrow, "/3", None) as fourth:
            assert_refused(fourth.told(), 503, "too many keys")
        receivers = [parties.enter_context(Receiver(narrow, "/x", *GENERAL)) for _ in range(3)]
        eventually(lambda: waiting(narrow) == 3)
        assert_refused(ask(narrow, "/x"), 503, "too many waiting readers")
        for number, sender in enumerate(senders):
            sender.send(b"hello")
            assert ask(narrow, f"/{number}").body == b"hello"
            assert sender.told().status == 200
        running = parties.enter_context(Sender(narrow, "/0", None))
        running.send(b"hello")
        with Receiver(narrow, "/0") as one, Sender(narrow, "/x?n=3", MIB) as sender:
            assert one.begin() == 200
            sender.send(b"hello")
            assert_refused(sender.told(), 503, "memory quota exceeded")
            assert running.finish().startswith(b"HTTP/1.1 200 ")
            assert one.rest() == b"hello"
        for receiver in receivers:
            assert_refused(receiver.told(), 502, "the sender did not deliver")
    eventually(lambda: at_rest(narrow))


def test_a_body_that_is_too_large(narrow: Daemon) -> None:
    """It is refused at once, or when it becomes so: then its receiver gets no end."""
    with Sender(narrow, "/k", MIB + 1) as sender:
        assert_refused(sender.told(), 413, "exceeds")
    with Receiver(narrow, "/k") as receiver, Sender(narrow, "/k", None) as sender:
        sender.send(BODY)
        assert receiver.begin() == 200
        assert sha(receiver.take(MIB)) == sha(BODY)
        sender.send(b"x")
        assert_refused(sender.told(), 413, "exceeds")
        assert receiver.rest() is None
    assert is_free(narrow, "/k")


def test_an_idle_daemon_with_people_who_wait(narrow: Daemon) -> None:
    """One signal is enough."""
    with Sender(narrow, "/k", None), Receiver(narrow, "/other", *GENERAL):
        eventually(lambda: waiting(narrow) == 1)
        eventually(lambda: narrow.state()["keys"])
        assert narrow.stop() == 0
    narrow.assert_clean_log()


def test_no_descriptor_is_left(start: Start, each_path: str) -> None:
    """Who comes then is refused or waits for a place; nobody is deceived, and all is as before."""
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit is not installed")
    daemon = start(each_path, prefix=["prlimit", "--nofile=64:64"])
    with Receiver(daemon, "/k") as receiver, Sender(daemon, "/k", MIB) as sender:
        sender.send(BODY)
        assert receiver.whole() == BODY
        assert sender.told().status == 200
    eventually(lambda: at_rest(daemon))
    before = descriptors(daemon)
    answers = b""
    # who takes two descriptors finds one of them left, or none: nobody can say which
    for others in range(6):
        if b"\r\n\r\ntoo many open files, try again later\n" in answers:
            break
        with contextlib.ExitStack() as parties:
            for _ in range(others):
                parties.enter_context(daemon.connect())
            crowd = [parties.enter_context(Sender(daemon, f"/{n}", MIB)) for n in range(24)]
            answers += _answers(crowd)
            for number in range(10):
                _hand_over(daemon, number, crowd[number])
        eventually(lambda: _rests(daemon))
        eventually(lambda: descriptors(daemon) <= before)
    else:
        pytest.fail("everybody found room, or was not even accepted")
    with Receiver(daemon, "/k") as receiver, Sender(daemon, "/k", MIB) as sender:
        sender.send(BODY)
        assert receiver.whole() == BODY
    daemon.assert_clean_log()


def _rests(daemon: Daemon) -> bool:
    """Whether nothing is held; nor can it be asked as long as there is no descriptor for it."""
    with contextlib.suppress(OSError):
        return at_rest(daemon)
    return False


def _answers(crowd: list[Sender]) -> bytes:
    """What those who should wait are told; who could not even be accepted sees a reset."""
    answers = b""
    answered, _, _ = select.select([sender.sock for sender in crowd], [], [], 1)
    for sock in answered:
        with contextlib.suppress(ConnectionResetError):
            answers += sock.recv(65536)
    return answers


def _hand_over(daemon: Daemon, number: int, sender: Sender) -> None:
    """To a receiver for whom there may be no room: then he, and the sender he met, are told so."""
    with contextlib.suppress(ConnectionError), Receiver(daemon, f"/{number}") as receiver:
        sender.send(BODY)
        if receiver.begin() == 503:
            assert_refused(sender.told(), 502, "every receiver left")
        elif receiver.rest() == BODY:
            assert sender.told().status == 200
        else:
            assert sender.told().status == 502
    sender.reset()  # behind bytes that nobody takes a FIN would never arrive
