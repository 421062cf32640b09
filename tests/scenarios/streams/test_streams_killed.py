"""kill -9 under producers that try again: nothing is lost, nothing is there twice.

`STREAM_KILLS` sets the rounds, `STREAM_SEED` repeats the same choices.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.conftest import Daemon

ROUNDS = int(os.environ.get("STREAM_KILLS", "3"))
SEED = int(os.environ.get("STREAM_SEED", "7"))
FRESH = 20
"""Rounds after which a new stream begins, or every round would read more."""

JSON = {"Content-Type": "application/json"}
GONE = (OSError, http.client.HTTPException)
"""What a client sees of a daemon that is killed."""


@dataclass
class Client:
    """Goes on over all the kills, on its own thread."""

    path: str
    address: tuple[str, int]
    over: threading.Event
    wrong: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Begin."""
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        while not self.over.is_set() and not self.wrong:
            connection = http.client.HTTPConnection(*self.address, timeout=30)
            with contextlib.suppress(*GONE), contextlib.closing(connection):
                self.work(connection)
            time.sleep(0.02)

    def work(self, connection: http.client.HTTPConnection) -> None:
        """Use one connection for as long as it lasts."""
        raise NotImplementedError


class Producing(Client):
    """Appends its name with 0, with 1 and so on, each until it is acknowledged."""

    def __init__(self, name: str, path: str, address: tuple[str, int]) -> None:
        super().__init__(path, address, threading.Event())
        self.name = name
        self.acknowledged = 0
        self.again = 0
        """How many were there already."""

    def work(self, connection: http.client.HTTPConnection) -> None:
        """Append one after the other."""
        headers = {**JSON, "Producer-Id": self.name, "Producer-Epoch": "0"}
        while not self.over.is_set():
            headers["Producer-Seq"] = str(self.acknowledged)
            value = json.dumps({"by": self.name, "n": self.acknowledged}).encode()
            connection.request("POST", self.path, value, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status not in (200, 204):
                self.wrong.append(f"{answer.status} {text!r}")
                return
            self.again += answer.status == 204
            self.acknowledged += 1


class Following(Client):
    """Reads from where it is, and waits for more, until the stream is closed."""

    def __init__(self, path: str, address: tuple[str, int]) -> None:
        super().__init__(path, address, threading.Event())
        self.got: list[dict[str, object]] = []
        self._offset = "-1"

    def work(self, connection: http.client.HTTPConnection) -> None:
        """Ask again and again; what came is there for good."""
        while not self.over.is_set():
            connection.request("GET", f"{self.path}?offset={self._offset}&live=long-poll")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status not in (200, 204):
                self.wrong.append(f"{answer.status} {body!r}")
                return
            self.got += json.loads(body) if body else []
            self._offset = str(answer.getheader("Stream-Next-Offset"))
            if answer.getheader("Stream-Closed") is not None:
                self.over.set()


def values(daemon: Daemon, path: str) -> list[dict[str, object]]:
    """Everything that is in the stream."""
    found: list[dict[str, object]] = []
    offset, more = "-1", True
    while more:
        connection = http.client.HTTPConnection(*daemon.address, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", f"{path}?offset={offset}")
            answer = connection.getresponse()
            found += json.load(answer)
            offset = str(answer.getheader("Stream-Next-Offset"))
            more = answer.getheader("Stream-Up-To-Date") is None
    return found


def ask(daemon: Daemon, method: str, path: str, **headers: str) -> int:
    """One request without a body; its status."""
    connection = http.client.HTTPConnection(*daemon.address, timeout=20)
    with contextlib.closing(connection):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=named)
        return connection.getresponse().status


@contextlib.contextmanager
def working(clients: list[Client]) -> Iterator[None]:
    """Let them work meanwhile."""
    for client in clients:
        client.start()
    try:
        yield
    finally:
        for client in clients:
            client.over.set()
            client.thread.join(40)


def test_killed_under_producers(
    start: Callable[..., Daemon], restart: Callable[..., Daemon]
) -> None:
    """Round after round: two producers and a reader, each value once and in its order."""
    choose, daemon = random.Random(SEED), start("--allow-delete")
    again = 0
    for first in range(0, ROUNDS, FRESH):
        path = f"/streams/s{first}"
        assert ask(daemon, "PUT", path, Content_Type="application/json") == 201
        producing = [Producing(name, path, daemon.address) for name in "pq"]
        following = Following(path, daemon.address)
        clients: list[Client] = [*producing, following]
        with working(clients):
            for _ in range(min(FRESH, ROUNDS - first)):
                time.sleep(choose.uniform(0.05, 0.4))
                daemon.kill()
                daemon = restart(daemon, "--allow-delete")
                before = [each.acknowledged for each in producing]
                for client in clients:
                    client.address = daemon.address
                found = values(daemon, path)
                for each, least in zip(producing, before, strict=True):
                    assert_whole(found, each.name, least)
                assert [each.wrong for each in clients] == [[], [], []]
            for each in producing:
                each.over.set()
                each.thread.join(40)
            assert ask(daemon, "POST", path, Stream_Closed="true") == 204
            following.thread.join(40)
            assert following.over.is_set()
        found = values(daemon, path)
        assert following.got == found
        for each in producing:
            assert_whole(found, each.name, each.acknowledged)
            assert each.acknowledged > 0
            again += each.again
        assert ask(daemon, "DELETE", path) == 204
    print(f"{ROUNDS} rounds; {again} values came again")
    daemon.assert_clean_log()


def assert_whole(found: list[dict[str, object]], name: str, least: int) -> None:
    """A producer's values are there once, in their order, at least so many."""
    numbers = [value["n"] for value in found if value["by"] == name]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= least
