"""The original's own clients, with all that they leave undone, append and follow as ever."""

from __future__ import annotations

import random
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Daemon, eventually
from tests.scenarios.httpfstream.original import COPIED, Appender, Follower, Refused, append, look
from tests.scenarios.peers import body_of, readers, sha, stored


def _comes(daemon: Daemon, path: str) -> bool:
    """Whether the one before has gone, so that another can append."""
    try:
        Appender(daemon, path).close()
    except Refused:
        return False
    return True


@pytest.mark.parametrize("size", [COPIED, 700_000], ids=["copied", "one message"])
def test_append_a_source(shared: Daemon, path: str, size: int) -> None:
    """All of it, although it is no text, and is ended by nothing but the connection."""
    body = body_of(700_000)
    append(shared, path, body, size)
    eventually(lambda: stored(shared, path[1:]) == len(body))
    assert sha(look(shared, path)) == sha(body)
    eventually(lambda: _comes(shared, path))
    append(shared, path, b"more")
    eventually(lambda: look(shared, path)[-4:] == b"more")


def test_nothing_is_sent_to_an_appender(shared: Daemon, path: str) -> None:
    """What it did not read would make of its close a reset, which drops its last bytes."""
    with Appender(shared, path) as appender:
        for number in range(50):
            appender.write(b"%d" % number)
        eventually(lambda: stored(shared, path[1:]) == 90)
        assert appender.unread() == b""
        appender.sock.shutdown(socket.SHUT_WR)
        assert appender.sock.recv(1000) == b""


def test_follow_message_by_message(shared: Daemon, path: str) -> None:
    """A follower that keeps up has each message as it was written, and a clean end."""
    with Appender(shared, path) as appender, Follower(shared, path) as follower:
        assert follower.read() == b""
        for number in range(100):
            message = b"%d \xff\xfe" % number + b"x" * random.Random(number).randrange(4000)
            appender.write(message)
            assert follower.read() == message
        appender.close()
        assert follower.read() is None


def test_follow_the_history(shared: Daemon, path: str) -> None:
    """What was there before comes first, up to an empty message."""
    append(shared, path, b"yesterday\n")
    eventually(lambda: stored(shared, path[1:]) == 10)
    eventually(lambda: _comes(shared, path))
    with Appender(shared, path) as appender, Follower(shared, path) as follower:
        assert (follower.read(), follower.read()) == (b"yesterday\n", b"")
        appender.write(b"today\n")
        assert follower.read() == b"today\n"
        appender.close()
        assert follower.read() is None


def test_01_a_live_body_loses_nothing(shared: Daemon, path: str) -> None:
    """With `?live` the same client reads any amount whole: it takes a 200 instead of the 101."""
    body = body_of(600_000)
    with Appender(shared, path) as appender, ThreadPoolExecutor(3) as pool:
        followers = [Follower(shared, f"{path}?live") for _ in range(3)]
        found = [pool.submit(follower.everything) for follower in followers]
        eventually(lambda: readers(shared, path[1:]) == 3)
        for start in range(0, len(body), 9_000):
            appender.write(body[start : start + 9_000])
        appender.close()
        assert {sha(each.result()) for each in found} == {sha(body)}
    for follower in followers:
        follower.sock.close()


def test_follow_when_nobody_appends(shared: Daemon, path: str) -> None:
    """200 and the bytes, which it reads to their end; 404 where there are none."""
    with pytest.raises(Refused, match="404"):
        Follower(shared, path)
    body = body_of(100_000)
    append(shared, path, body)
    eventually(lambda: stored(shared, path[1:]) == len(body))
    eventually(lambda: _status(shared, path) == 200)
    with Follower(shared, path) as follower:
        assert sha(follower.everything()) == sha(body)


def _status(daemon: Daemon, path: str) -> int:
    with Follower(daemon, path) as follower:
        return follower.status


def test_a_second_appender(shared: Daemon, path: str) -> None:
    """It is refused with 403, until the first one has gone."""
    with Appender(shared, path) as first:
        with pytest.raises(Refused, match="403"):
            Appender(shared, path)
        first.write(b"1")
        first.close()
    eventually(lambda: _comes(shared, path))
    assert look(shared, path) == b"1"


def test_a_look_during_an_append(shared: Daemon, path: str) -> None:
    """What is there at once, and then the answer ends."""
    with Appender(shared, path) as appender:
        assert look(shared, path) == b""
        for number in range(10):
            appender.write(b"%d" % number)
            eventually(lambda count=number + 1: stored(shared, path[1:]) == count)
            assert look(shared, path) == b"0123456789"[: number + 1]
