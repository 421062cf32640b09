"""kill -9 under a producer that tries again: nothing is lost, nothing is there twice.

`STREAM_KILLS` sets the rounds.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import threading
import time
from collections.abc import Callable

from tests.conftest import Daemon

ROUNDS = int(os.environ.get("STREAM_KILLS", "3"))


class Producing:
    """Appends the numbers from 0 on, each until it is acknowledged."""

    def __init__(self) -> None:
        self.address = ("", 0)
        self.over = threading.Event()
        self.acknowledged = 0
        self.again = 0
        """How many were there already."""

    def run(self) -> None:
        """Until it is told to stop."""
        while not self.over.is_set():
            try:
                self._send(self.acknowledged)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)

    def _send(self, number: int) -> None:
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        headers = {
            "Content-Type": "application/json", "Producer-Id": "p", "Producer-Epoch": "0",
        }  # fmt: skip
        with contextlib.closing(connection):
            while not self.over.is_set():
                headers["Producer-Seq"] = str(number)
                connection.request("POST", "/streams/s", str(number).encode(), headers)
                answer = connection.getresponse()
                text = answer.read()
                assert answer.status in (200, 204, 503), (answer.status, text)
                if answer.status != 503:
                    self.again += answer.status == 204
                    number = self.acknowledged = number + 1


def values(daemon: Daemon) -> list[int]:
    """Everything that is in the stream."""
    found: list[int] = []
    offset, more = "-1", True
    while more:
        connection = http.client.HTTPConnection(*daemon.address, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", f"/streams/s?offset={offset}")
            answer = connection.getresponse()
            found += json.load(answer)
            offset = str(answer.getheader("Stream-Next-Offset"))
            more = answer.getheader("Stream-Up-To-Date") is None
    return found


def test_killed_under_a_producer(
    start: Callable[..., Daemon], restart: Callable[..., Daemon]
) -> None:
    """Round after round on the same stream."""
    choose, daemon = random.Random(7), start()
    connection = http.client.HTTPConnection(*daemon.address, timeout=20)
    connection.request("PUT", "/streams/s", headers={"Content-Type": "application/json"})
    assert connection.getresponse().status == 201
    connection.close()
    producing = Producing()
    producing.address = daemon.address
    thread = threading.Thread(target=producing.run)
    thread.start()
    try:
        for _ in range(ROUNDS):
            time.sleep(choose.uniform(0.05, 0.4))
            daemon.kill()
            daemon = restart(daemon)
            producing.address = daemon.address
            before = producing.acknowledged
            found = values(daemon)
            assert found == list(range(len(found)))
            assert len(found) >= before
    finally:
        producing.over.set()
        thread.join(30)
    assert values(daemon)[: producing.acknowledged] == list(range(producing.acknowledged))
    assert producing.acknowledged > ROUNDS
