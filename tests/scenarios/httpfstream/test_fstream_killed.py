"""kill -9 under WebSocket load, by a client that others wrote: nothing acknowledged is lost.

`LOG_KILLS` sets the rounds, `LOG_SEED` repeats the same choices.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.conftest import Daemon
from tests.scenarios.httpfstream.wire import ask

ROUNDS = int(os.environ.get("LOG_KILLS", "2"))
SEED = int(os.environ.get("LOG_SEED", "11"))
APPENDERS = 3
IN_FLIGHT = 64
FRESH = 10
"""Rounds after which new logs begin, or every round would read more."""

_GONE = (OSError, WebSocketException, AssertionError)
"""What a client sees of a daemon that is killed."""


def url(daemon: Daemon, path: str) -> str:
    """Where a WebSocket is opened."""
    return daemon.url(path).replace("http", "ws", 1)


@dataclass
class Appender:
    """One log, and what its only appender knows of it: where each message ended that was sent."""

    path: str
    seed: int
    acknowledged: int = 0
    sent: bytes = b""
    ends: list[int] = field(default_factory=lambda: [0])
    wrong: list[str] = field(default_factory=list)

    def append(self, daemon: Daemon) -> None:
        """Append until the daemon is gone."""
        choose = random.Random(self.seed)
        query = f"{self.path}?verb=APPEND&offset={len(self.sent)}"
        acks = [Subprotocol("filepipe.append")]
        with contextlib.suppress(*_GONE), connect(url(daemon, query), subprotocols=acks) as line:
            while True:
                if len(self.ends) - self.ends.index(self.acknowledged) <= IN_FLIGHT:
                    self._send(line, choose)
                else:
                    self._hear(line)

    def _send(self, line: ClientConnection, choose: random.Random) -> None:
        data = b"%d %s\n" % (len(self.ends), b"x" * choose.choice((0, 10, 1000, 20_000)))
        self.sent += data
        self.ends.append(len(self.sent))
        line.send(data.decode())

    def _hear(self, line: ClientConnection) -> None:
        offset = json.loads(line.recv(20))["offset"]
        if offset <= self.acknowledged or offset not in self.ends:
            self.wrong.append(f"acknowledged {offset} after {self.acknowledged}")
        self.acknowledged = offset

    def check(self, daemon: Daemon) -> None:
        """What is there is every message to the last one that was acknowledged, or some more."""
        answer = ask(daemon, self.path, "X-Verb: FOLLOW")
        found = answer.body if answer.status == 200 else b""
        if len(found) < self.acknowledged:
            self.wrong.append(f"lost: {len(found)} of {self.acknowledged} acknowledged")
        if not self.sent.startswith(found):
            self.wrong.append("bytes that nobody sent so")
        if len(found) not in self.ends:
            self.wrong.append("torn")
        self.sent, self.acknowledged = found, len(found)
        self.ends = [end for end in self.ends if end <= len(found)]


@dataclass
class Follower:
    """Follows one log over all the crashes, each time from where it was."""

    path: str
    got: bytes = b""

    def follow(self, daemon: Daemon) -> None:
        """Until the daemon is gone."""
        query = f"{self.path}?verb=FOLLOW&wait=20&offset={len(self.got)}"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(*_GONE), connect(url(daemon, query)) as line:
                for message in line:
                    self.got += message.encode() if isinstance(message, str) else message
                return
            if daemon.process.poll() is not None:
                return
            time.sleep(0.02)  # its appender has not come yet


def test_killed_under_load(start: Callable[..., Daemon], restart: Callable[..., Daemon]) -> None:
    """Round after round on the same logs: none lost, none twice, none torn."""
    choose = random.Random(SEED)
    daemon = start()
    told = heard = 0
    for number in range(ROUNDS):
        if number % FRESH == 0:
            appenders = [
                Appender(f"/log{number}-{lane}", number + lane) for lane in range(APPENDERS)
            ]
            followers = [Follower(appender.path) for appender in appenders]
        tasks = [appender.append for appender in appenders]
        tasks += [follower.follow for follower in followers]
        threads = [threading.Thread(target=task, args=(daemon,)) for task in tasks]
        for thread in threads:
            thread.start()
        time.sleep(choose.uniform(0.1, 1.0))
        daemon.kill()
        for thread in threads:
            thread.join(30)
        daemon = restart(daemon)
        for appender, follower in zip(appenders, followers, strict=True):
            appender.check(daemon)
            assert not appender.wrong
            assert appender.sent.startswith(follower.got)
        told += sum(appender.acknowledged for appender in appenders)
        heard += sum(len(follower.got) for follower in followers)
    assert told > 0
    assert heard > 0
    daemon.assert_clean_log()
