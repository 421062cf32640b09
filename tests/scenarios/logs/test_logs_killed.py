"""kill -9 at any moment under load: nothing acknowledged is lost, repeated or torn.

`LOG_KILLS` sets the rounds, `LOG_SEED` repeats the same choices. Each appender writes down an
acknowledgement before it sends the next record, and is the only one of its log.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import Daemon
from tests.scenarios.peers import Download, Upload

ROUNDS = int(os.environ.get("LOG_KILLS", "3"))
SEED = int(os.environ.get("LOG_SEED", "7"))
APPENDERS = 4


@dataclass
class Appender:
    """One log, and what its only appender knows of it."""

    path: str
    seed: int
    acknowledged: bytes = b""
    sent: bytes = b""
    """What was sent, and may be there, beyond what was acknowledged."""
    wrong: list[str] = field(default_factory=list)

    def append(self, daemon: Daemon, stop: threading.Event) -> None:
        """Append records and sessions until the daemon is gone."""
        choose = random.Random(self.seed)
        with contextlib.suppress(OSError, http.client.HTTPException):
            self._find_end(daemon)
            while not stop.is_set():
                if choose.random() < 0.8:
                    self._record(daemon, choose)
                else:
                    self._session(daemon, choose)

    def _find_end(self, daemon: Daemon) -> None:
        """What is there is what was acknowledged, and perhaps a first part of what was sent."""
        found = look(daemon, self.path)
        whole = self.acknowledged + self.sent
        if not found.startswith(self.acknowledged):
            self.wrong.append(f"lost: {len(found)} of {len(self.acknowledged)} acknowledged")
        elif not whole.startswith(found):
            self.wrong.append(f"{len(found)} bytes that nobody sent so")
        elif b"record" in self.sent and len(found) not in (len(self.acknowledged), len(whole)):
            self.wrong.append("torn")
        self.acknowledged, self.sent = found, b""

    def _record(self, daemon: Daemon, choose: random.Random) -> None:
        self.sent = b"record %d %s\n" % (
            len(self.acknowledged),
            b"x" * choose.choice((0, 100, 5000, 60_000)),
        )
        connection = http.client.HTTPConnection(*daemon.address, timeout=20)
        with contextlib.closing(connection):
            path = f"{self.path}?append&offset={len(self.acknowledged)}"
            connection.request("POST", path, self.sent)
            self._read_answer(connection.getresponse())

    def _session(self, daemon: Daemon, choose: random.Random) -> None:
        with Upload(daemon, f"{self.path}?append&offset={len(self.acknowledged)}") as session:
            for _ in range(choose.randrange(1, 30)):
                piece = choose.randbytes(choose.choice((10, 1000, 100_000))).hex().encode()
                self.sent += piece
                session.send(piece)
            session.sock.sendall(b"0\r\n\r\n")
            answer = http.client.HTTPResponse(session.sock)
            with contextlib.closing(answer):
                answer.begin()
                self._read_answer(answer)

    def _read_answer(self, answer: http.client.HTTPResponse) -> None:
        text = answer.read().decode()
        if answer.status == 200:
            self.acknowledged, self.sent = self.acknowledged + self.sent, b""
            if int(text) != len(self.acknowledged):
                self.wrong.append(f"acknowledged {text!r} at {len(self.acknowledged)}")
        else:
            self.wrong.append(f"{answer.status} {text}")


def look(daemon: Daemon, path: str) -> bytes:
    """What is in a log; nothing where there is none yet."""
    with Download(daemon, f"{path}?wait=0", "Connection: close") as download:
        return download.rest() or b"" if download.begin() == 200 else b""


@dataclass
class Follower:
    """Follows one log over all the crashes, each time from where it was."""

    path: str
    got: bytes = b""

    def follow(self, daemon: Daemon) -> None:
        """Until the daemon is gone."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            query = f"?follow&wait=20&offset={len(self.got)}"
            with Download(daemon, self.path + query) as download:
                download.begin()
                while chunk := download.response.read1(1 << 16):
                    self.got += chunk


def test_killed_at_any_moment(start: Callable[..., Daemon], restart: Callable[..., Daemon]) -> None:
    """Round after round on the same logs."""
    choose = random.Random(SEED)
    appenders = [Appender(f"/log{number}", number) for number in range(APPENDERS)]
    followers = [Follower(appender.path) for appender in appenders]
    daemon = start()
    for number in range(ROUNDS):
        stop = threading.Event()
        threads = [threading.Thread(target=each.append, args=(daemon, stop)) for each in appenders]
        threads += [threading.Thread(target=each.follow, args=(daemon,)) for each in followers]
        for thread in threads:
            thread.start()
        time.sleep(choose.uniform(0.05, 0.8))
        daemon.kill()
        stop.set()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        for appender in appenders:
            appender.seed += APPENDERS
            assert not appender.wrong, (number, appender.path, appender.wrong)
        if number % 10 == 9:
            remove_logs(daemon.data_dir)
            appenders = [Appender(each.path, each.seed) for each in appenders]
            followers = [Follower(each.path) for each in followers]
        daemon = restart(daemon)
        assert not [line for line in daemon.log() if line.get("level") == "error"]
    for appender, follower in zip(appenders, followers, strict=True):
        appender._find_end(daemon)
        assert not appender.wrong
        # what a follower saw was acknowledged by then, or about to be
        assert appender.acknowledged.startswith(follower.got)


def remove_logs(data_dir: Path) -> None:
    """Begin anew, or every round would read more."""
    for path in (data_dir / "filepipe/logs").iterdir():
        path.unlink()
