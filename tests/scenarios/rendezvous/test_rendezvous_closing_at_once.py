"""A receiver who closes as soon as it has everything has received it."""

from __future__ import annotations

import threading
from collections import Counter

from tests.conftest import Daemon, eventually, read_until

SIZE = 3_000_000
ROUNDS = 40


def receive(daemon: Daemon, path: str) -> None:
    """Take exactly the announced bytes, and be gone."""
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with daemon.connect(head) as sock:
        got = len(read_until(sock, b"\r\n\r\n").partition(b"\r\n\r\n")[2])
        while got < SIZE:
            got += len(sock.recv(1 << 20))


def test_it_is_no_failure(start, each_path: str) -> None:
    """The sender is told of success, and so is the log, however soon the receiver's FIN is."""
    daemon = start(each_path)
    fields = f"Host: localhost\r\nConnection: close\r\nContent-Length: {SIZE}"
    for index in range(ROUNDS):
        receiver = threading.Thread(target=receive, args=(daemon, f"/k{index}"))
        receiver.start()
        head = f"POST /k{index} HTTP/1.1\r\n{fields}\r\n\r\n".encode()
        assert daemon.talk(head + bytes(SIZE)).startswith(b"HTTP/1.1 200 ")
        receiver.join()
    eventually(lambda: statuses(daemon) == {("GET", 200): ROUNDS, ("POST", 200): ROUNDS})


def statuses(daemon: Daemon) -> Counter[tuple[str, int]]:
    """How often each answer stands in the log."""
    return Counter(
        (line["method"], line["status"])
        for line in daemon.log()
        if line["event"] == "request" and line["path"].startswith("/k")
    )
