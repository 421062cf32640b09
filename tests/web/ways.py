"""The two ways that a small transfer can go: the doorman's, and aiohttp's for everybody else."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.conftest import Daemon, eventually

PLAIN: Final = ()
GENERAL: Final = ("X-Other: 1",)
"""A field that means nothing, and that the doorman does not know."""

_numbers = itertools.count()
_counted = re.compile(r"^(filepipe_\w+_total\{.*\}) (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """One answer, its header fields in their order."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def by_doorman(self) -> bool:
        """Who wrote it: aiohttp has other fields between these two."""
        names = [name for name, _ in self.headers]
        return "Date" in names and names[names.index("Date") - 1] == "X-Request-Id"

    @property
    def timeless(self) -> list[tuple[str, str]]:
        """The header fields in any order, without what each answer has of its own."""
        own = ("Date", "ETag", "X-Request-Id")
        return sorted((name, "" if name in own else value) for name, value in self.headers)

    def __getitem__(self, name: str) -> str:
        (value,) = [value for field, value in self.headers if field.lower() == name.lower()]
        return value


def key() -> str:
    """A path that nobody has used."""
    return f"/key{next(_numbers):05}"


def request(
    method: str, path: str, *fields: str, body: bytes | None = None, host: str = "Host: localhost"
) -> bytes:
    """The bytes of a request."""
    length = [] if body is None else [f"Content-Length: {len(body)}"]
    lines = (f"{method} {path} HTTP/1.1", host, *fields, *length, "", "")
    return "\r\n".join(lines).encode("latin-1") + (body or b"")


def put(path: str, *fields: str, body: bytes = b"hello", **options: str) -> bytes:
    """A PUT."""
    return request("PUT", path, *fields, body=body, **options)


def get(path: str, *fields: str, **options: str) -> bytes:
    """A GET."""
    return request("GET", path, *fields, **options)


def read_answer(sock: socket.socket) -> Answer:
    """The next answer; fails if the connection ends before it does."""
    response = http.client.HTTPResponse(sock)
    response.fp = sock.makefile("rb", buffering=0)  # not a byte more than is its own
    response.begin()
    body = b"".join(iter(lambda: response.read(65536), b""))
    assert response.length == 0
    return Answer(response.status, response.getheaders(), body)


def ask(daemon: Daemon, data: bytes) -> Answer:
    """Send `data` on a connection of its own."""
    with daemon.connect(data) as sock:
        return read_answer(sock)


def counters(daemon: Daemon) -> dict[str, float]:
    """What /metrics counts."""
    text = ask(daemon, request("GET", "/metrics")).body.decode()
    return {name: float(value) for name, value in _counted.findall(text)}


def lines(daemon: Daemon, path: str, count: int) -> list[dict[str, Any]]:
    """The log of the requests for `path`, of which there are `count`, without moments."""
    found: list[dict[str, Any]] = []

    def all_there() -> bool:
        text = daemon.log_path.read_text().splitlines()
        found[:] = [json.loads(line) for line in text if f'{path}","status"' in line]
        return len(found) >= count

    eventually(all_there)
    moments = ("timestamp", "request_id", "seconds")
    return [
        {name: "" if name in moments else value for name, value in line.items()} for line in found
    ]


def assert_same(
    daemon: Daemon, requests: Callable[[str, tuple[str, ...]], Sequence[bytes]], status: int,
    *, by_doorman: bool = True,
) -> None:  # fmt: skip
    """Answers, counters and log are the same by either way, but for moments and the key's name.

    `requests` makes the requests for a path with further fields; the last one is answered with
    `status`, without those fields `by_doorman`.
    """
    stories = []
    for fields in (PLAIN, GENERAL):
        used = key()
        before = counters(daemon)
        answers = [ask(daemon, data) for data in requests(used, fields)]
        after = counters(daemon)
        assert answers[-1].status == status
        assert answers[-1].by_doorman is (by_doorman and fields == PLAIN)
        told = {
            "statuses": [answer.status for answer in answers],
            "headers": [answer.timeless for answer in answers],
            "bodies": [answer.body for answer in answers],
            "counters": {name: after[name] - before.get(name, 0) for name in after},
        }
        stories.append((used, told))
    for used, told in stories:
        told["log"] = lines(daemon, used, len(told["statuses"]))
    plain, general = (_anonymous(told, used) for used, told in stories)
    differences = [(plain[name], general[name]) for name in plain if plain[name] != general[name]]
    assert not differences, differences


def _anonymous(told: dict[str, Any], path: str) -> dict[str, str]:
    return {
        name: repr(value).replace(path, "/KEY").replace(f'"{path[1:]}"', '"KEY"')
        for name, value in told.items()
    }


def send_apart(sock: socket.socket, *pieces: bytes) -> None:
    """Send so that the other side reads each piece by itself."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in pieces:
        sock.sendall(piece)
        time.sleep(0.03)


def descriptors(daemon: Daemon) -> int:
    """How many the process has open."""
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def at_rest(daemon: Daemon, before: int) -> bool:
    """Nobody waits, and no connection is left beside `before` descriptors."""
    return daemon.state()["waiting_readers"] == 0 and descriptors(daemon) <= before
