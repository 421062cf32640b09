"""Appending, following and looking with the real curl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from tests.conftest import Daemon, curl, start_curl


@dataclass(frozen=True)
class Answer:
    """What curl got; `code` is its exit status."""

    status: int
    headers: dict[str, str]
    body: bytes
    code: int

    def __getitem__(self, name: str) -> str:
        return self.headers[name.lower()]

    @property
    def text(self) -> str:
        """The body."""
        return self.body.decode()

    @property
    def end(self) -> int:
        """Where the log ends, as the answer says."""
        return int(self["Stream-Next-Offset"])


def ask(daemon: Daemon, path: str, *arguments: str, **options: object) -> Answer:
    """One request by curl."""
    done = curl("--include", *arguments, daemon.url(path), **options)
    return parsed(done.stdout, done.returncode)


def parsed(output: bytes, code: int = 0) -> Answer:
    """The last answer of what curl wrote."""
    head, _, rest = output.partition(b"\r\n\r\n")
    while head.startswith((b"HTTP/1.1 100", b"HTTP/1.0 100")):
        head, _, rest = rest.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {
        name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])
    }
    return Answer(int(lines[0].split()[1]) if head else 0, headers, rest, code)


def append(
    daemon: Daemon, path: str, data: bytes, query: str = "", *arguments: str, chunked: bool = False
) -> Answer:
    """Append `data`: as a record, or as a session."""
    framing = ("-H", "Transfer-Encoding: chunked") if chunked else ()
    send = ("-X", "PUT", "--data-binary", "@-", *framing, *arguments)
    return ask(daemon, f"{path}?append{query}", *send, input=data)


def begin(daemon: Daemon, path: str, query: str = "") -> subprocess.Popen[bytes]:
    """A session whose bytes are what is written to its stdin."""
    url = daemon.url(f"{path}?append{query}")
    return start_curl("--include", "--no-buffer", "-T", "-", url, stdin=subprocess.PIPE)


def say(session: subprocess.Popen[bytes], data: bytes) -> None:
    """The next bytes of a session."""
    assert session.stdin is not None
    session.stdin.write(data)
    session.stdin.flush()


def finish(session: subprocess.Popen[bytes]) -> Answer:
    """End a session, and its answer."""
    out, _ = session.communicate(timeout=30)
    return parsed(out, session.returncode)


def follow(daemon: Daemon, path: str, query: str = "", *arguments: str) -> subprocess.Popen[bytes]:
    """A follower in the background."""
    return start_curl("--no-buffer", *arguments, daemon.url(f"{path}?follow{query}"))


def end_of(follower: subprocess.Popen[bytes]) -> tuple[bytes, int]:
    """What was left to read, and curl's exit status."""
    out, _ = follower.communicate(timeout=30)
    return out, follower.returncode
