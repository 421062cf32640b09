"""Those who use logs while the daemon is killed, each with what it knows of what has to be there.

Whoever appends is the only one of its log, and writes an acknowledgement down before it sends more.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from filepipe.journal.files import name_of
from tests.conftest import Daemon, eventually, start_curl
from tests.scenarios.peers import Download, Upload

GONE = (OSError, http.client.HTTPException)
"""What a client sees of a daemon that is killed."""


def look(daemon: Daemon, path: str) -> bytes | None:
    """What is in a log, None where there is none. Raises `OSError` if the daemon is gone."""
    with Download(daemon, f"{path}?wait=0", "Connection: close") as download:
        status, found = download.begin(), download.rest()
    if found is None:
        raise ConnectionError("cut")
    assert status in (200, 404), (path, status, found)
    return found if status == 200 else None


def ask(
    daemon: Daemon, method: str, path: str, body: bytes = b"", **headers: str
) -> http.client.HTTPResponse:
    """One request, and its answer once all of that is there. Raises what a killed daemon does."""
    connection = http.client.HTTPConnection(*daemon.address, timeout=20)
    with contextlib.closing(connection):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        answer.text = answer.read().decode(errors="replace")
        return answer


@dataclass
class Appender:
    """Appends to one log with its offset: records, sessions, and sessions of the real curl."""

    path: str
    seed: int
    acknowledged: bytes = b""
    sent: bytes = b""
    """What was sent, and may be there, beyond what was acknowledged."""
    whole: bool = False
    """Whether that is one record."""
    wrong: list[str] = field(default_factory=list)
    told: int = 0
    """Acknowledgements."""

    def work(self, daemon: Daemon) -> None:
        """Append until the daemon is gone."""
        choose = random.Random(self.seed)
        self.seed += 1000
        with contextlib.suppress(*GONE):
            while not self.wrong:
                if choose.random() < 0.8:
                    self._record(daemon, choose)
                elif choose.random() < 0.8:
                    self._session(daemon, choose)
                else:
                    self._curl(daemon, choose)

    def check(self, daemon: Daemon) -> None:
        """What is there is what was acknowledged, and perhaps a first part of what was sent."""
        found = look(daemon, self.path) or b""
        whole = self.acknowledged + self.sent
        if not found.startswith(self.acknowledged):
            self.wrong.append(f"lost: {len(found)} of {len(self.acknowledged)} acknowledged")
        elif not whole.startswith(found):
            self.wrong.append(f"{len(found)} bytes that nobody sent so")
        elif self.whole and len(found) not in (len(self.acknowledged), len(whole)):
            self.wrong.append("torn")
        self.acknowledged, self.sent = found, b""

    def close(self, daemon: Daemon) -> None:
        """Close the log."""
        if self.acknowledged:
            assert ask(daemon, "POST", f"{self.path}?append&close").status == 200

    def _query(self) -> str:
        return f"{self.path}?append&offset={len(self.acknowledged)}"

    def _record(self, daemon: Daemon, choose: random.Random) -> None:
        size = choose.choice((0, 100, 5000, 60_000))
        self.sent = b"record %d %s\n" % (len(self.acknowledged), b"x" * size)
        self.whole = True
        answer = ask(daemon, "POST", self._query(), self.sent)
        self._hear(answer.status, answer.text)

    def _session(self, daemon: Daemon, choose: random.Random) -> None:
        self.whole = False
        with Upload(daemon, self._query()) as session:
            for _ in range(choose.randrange(1, 30)):
                piece = choose.randbytes(choose.choice((10, 1000, 100_000))).hex().encode()
                self.sent += piece
                session.send(piece)
            session.sock.sendall(b"0\r\n\r\n")
            answer = http.client.HTTPResponse(session.sock)
            with contextlib.closing(answer):
                answer.begin()
                self._hear(answer.status, answer.read().decode())

    def _curl(self, daemon: Daemon, choose: random.Random) -> None:
        self.whole = False
        self.sent = choose.randbytes(choose.choice((10, 300_000))).hex().encode()
        url = daemon.url(self._query())
        process = start_curl("-T", "-", "-w", "%{http_code}", url, stdin=subprocess.PIPE)
        out, _ = process.communicate(self.sent, timeout=50)
        if process.returncode:
            raise ConnectionError(process.returncode)
        self._hear(int(out[-3:]), out[:-3].decode())

    def _hear(self, status: int, text: str) -> None:
        if status != 200:
            self.wrong.append(f"{status} {text}")
            return
        self.acknowledged, self.sent = self.acknowledged + self.sent, b""
        self.told += 1
        if int(text) != len(self.acknowledged):
            self.wrong.append(f"acknowledged {text!r} at {len(self.acknowledged)}")


@dataclass
class Follower:
    """Follows one log over all the kills, each time from the byte that it has."""

    path: str
    got: bytes = b""

    def work(self, daemon: Daemon) -> None:
        """Until the daemon is gone, or the log ends."""
        with contextlib.suppress(*GONE):
            query = f"{self.path}?follow&wait=20&offset={len(self.got)}"
            with Download(daemon, query) as download:
                status = download.begin()
                assert status in (200, 400, 404), (query, status)
                while status == 200 and (chunk := download.response.read1(1 << 16)):
                    self.got += chunk


@dataclass
class Churner:
    """Makes a log, appends, closes, removes it, or lets it expire, and begins again."""

    path: str
    seed: int
    there: bytes | None = None
    """What is in it, None where there is none."""
    or_else: tuple[bytes | None, ...] = ()
    """What may be there instead, as nobody heard the answer."""
    wrong: list[str] = field(default_factory=list)
    number: int = 0
    closed: bool = False
    ttl: bool = False
    """Whether it may go by itself at any moment."""

    def work(self, daemon: Daemon) -> None:
        """Until the daemon is gone."""
        choose = random.Random(self.seed)
        self.seed += 1000
        with contextlib.suppress(*GONE):
            while not self.wrong:
                self._step(daemon, choose)

    def _step(self, daemon: Daemon, choose: random.Random) -> None:
        self.number += 1
        record = b"%d %s\n" % (self.number, b"y" * choose.choice((0, 1000, 50_000)))
        if self.there is None:
            first = choose.choice((b"", record))
            self.closed, self.ttl = choose.random() < 0.2, choose.random() < 0.3
            headers = {"Stream_Closed": "true"} if self.closed else {}
            headers |= {"Stream_TTL": "1"} if self.ttl else {}
            self._do(daemon, "PUT", "", first, first, **headers)
        elif self.closed or choose.random() < 0.3:
            self._do(daemon, "DELETE", "", b"", None)
        elif choose.random() < 0.2:
            self.closed = True
            self._do(daemon, "POST", "", record, self.there + record, Stream_Closed="true")
        else:
            self._do(daemon, "POST", "", record, self.there + record)

    def _do(
        self,
        daemon: Daemon,
        method: str,
        query: str,
        body: bytes,
        then: bytes | None,
        **headers: str,
    ) -> None:
        self.or_else = (then,)
        kind = {} if method == "DELETE" else {"Content_Type": "text/plain"}
        answer = ask(daemon, method, f"/streams{self.path}{query}", body, **kind, **headers)
        if answer.status == 404 and self.ttl:  # its time was over
            then = None
        elif answer.status != 201 if method == "PUT" else answer.status not in (200, 204):
            self.wrong.append(f"{method} {answer.status} {answer.text}")
        self.there, self.or_else = then, ()

    def check(self, daemon: Daemon) -> None:
        """All of one log or none; and none of one that is gone."""
        found = look(daemon, self.path)
        possible = [self.there, *self.or_else, *([None] if self.ttl else [])]
        if found not in possible:
            sizes = [None if each is None else len(each) for each in possible]
            self.wrong.append(f"{None if found is None else len(found)} bytes, not one of {sizes}")
        self.there, self.or_else = found, ()
        if found is not None:
            head = ask(daemon, "HEAD", f"/streams{self.path}")
            closed = head.status == 200 and head.getheader("Stream-Closed") == "true"
            self.closed = closed


class Commands:
    """`filepipe append` and `filepipe follow`, which live through all the kills by themselves."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.path = "/commands"
        self.fed = b""
        self._output = folder / "followed"
        url = daemon.url(self.path)
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "filepipe"]
        self.append = subprocess.Popen(
            [*command, "append", url, "--type", "text/plain", "--close"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
        )  # fmt: skip
        with self._output.open("wb") as output:
            self.follow = subprocess.Popen(
                [*command, "follow", url, "--wait", "50s"],
                stdout=output, stderr=subprocess.PIPE, env=environment,
            )  # fmt: skip
        self._stop = threading.Event()
        self._feeder = threading.Thread(target=self._feed)
        self._feeder.start()
        # a daemon that is gone before it was ever there is an error
        eventually(lambda: self._output.stat().st_size > 0)

    def _feed(self) -> None:
        choose = random.Random(3)
        assert self.append.stdin is not None
        number = 0
        with contextlib.suppress(BrokenPipeError):
            while not self._stop.is_set():
                line = b"%d %s\n" % (number, b"z" * choose.choice((0, 10, 200, 9000)))
                self.append.stdin.write(line)
                self.append.stdin.flush()
                self.fed += line
                number += 1
                time.sleep(choose.uniform(0, 0.01))

    def catch_up(self) -> None:
        """Wait until what was fed by now is followed; who meets only dead daemons gives up."""
        fed = len(self.fed)
        eventually(lambda: self._output.stat().st_size >= fed, 60)

    def end(self, daemon: Daemon) -> None:
        """Feed no more; each byte is in the log once, and the follower has exactly those."""
        self._stop.set()
        self._feeder.join(30)
        out, err = self.append.communicate(timeout=60)
        assert (self.append.returncode, out) == (0, b"%d\n" % len(self.fed)), err
        assert look(daemon, self.path) == self.fed
        _, err = self.follow.communicate(timeout=60)
        assert self.follow.returncode == 0, err
        assert self._output.read_bytes() == self.fed

    def kill(self) -> None:
        """Leave nothing running."""
        self._stop.set()
        for process in (self.append, self.follow):
            process.kill()
            process.wait()


def names_fit(daemon: Daemon, paths: list[str]) -> bool:
    """Whether the folder has both files of each log that can be read, and nothing else."""
    folder = daemon.data_dir / "filepipe/logs"
    there = {name_of(path[1:]) for path in paths if look(daemon, path) is not None}
    return {path.name for path in folder.iterdir()} == {
        name + suffix for name in there for suffix in (".data", ".index")
    }


def nothing_left_over(daemon: Daemon, paths: list[str]) -> None:
    """Wait until the folder fits; a log may be expiring right now."""
    eventually(lambda: names_fit(daemon, paths))
