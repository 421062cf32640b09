"""Senders and receivers of a rendezvous, and what can be seen of them from outside."""

from __future__ import annotations

import http.client
import re
from typing import Any

from tests.conftest import Daemon, read_until
from tests.scenarios.answers import Answer, parse, raw, talk
from tests.scenarios.peers import Download, Upload


class Sender(Upload):
    """A POST, or another method, whose body is sent piece by piece."""

    def __init__(
        self,
        daemon: Daemon,
        path: str,
        length: int | None = None,
        *headers: str,
        method: str = "POST",
        **options: Any,
    ) -> None:
        self.method = method
        super().__init__(daemon, path, length, *headers, **options)

    def told(self) -> Answer:
        """The final answer."""
        return parse(self.answer())

    def told_at_once(self) -> Answer:
        """An answer of one line, without waiting for the end of the connection."""
        data = read_until(self.sock, b"\r\n\r\n")
        while len((answer := parse(data)).body) < int(answer["Content-Length"] or 0):
            data += self.sock.recv(65536)
        return answer


class Receiver(Download):
    """A GET; like a person's, its connection goes with its answer."""

    def __init__(self, daemon: Daemon, path: str, *headers: str, **options: Any) -> None:
        super().__init__(daemon, path, "Connection: close", *headers, **options)

    def whole(self) -> bytes | None:
        """The body, if it came to its proper end; None if it was cut."""
        try:
            return self.rest() if self.begin() == 200 else None
        except (http.client.HTTPException, ConnectionError):
            return None

    def told(self) -> Answer:
        """The answer as it was on the wire."""
        data = b""
        while chunk := self.sock.recv(65536):
            data += chunk
        return parse(data)


def waiting(daemon: Daemon) -> int:
    """How many receivers wait for a writer."""
    return int(daemon.state()["waiting_readers"])


def is_free(daemon: Daemon, path: str) -> bool:
    """Whether nobody has the key; /state also shows what is over but for its receivers."""
    return talk(daemon, raw(f"HEAD {path} HTTP/1.1")).status == 404


def resident(daemon: Daemon) -> int:
    """Bytes of memory that the process has now."""
    with open(f"/proc/{daemon.pid}/status") as status:
        found = re.search(r"^VmRSS:\s+(\d+) kB$", status.read(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
