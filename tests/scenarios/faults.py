"""System calls of a running daemon fail on purpose: strace says which, how, and the how manieth."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import Daemon, curl, eventually, start_curl
from tests.scenarios.peers import MIB, at_rest, body_of, key_of, put, sha
from tests.scenarios.ways import Way

BODY = body_of(2 * MIB)


@dataclass(frozen=True)
class Fault:
    """The `number`th `call` of each thread fails with `error`, and with `lasting` all after it."""

    call: str
    error: str
    number: int = 1
    lasting: bool = False

    def __str__(self) -> str:
        return f"{self.call}-{self.error}-{self.number}{'-lasting' * self.lasting}"


class NotTraced(Exception):
    """This system does not let us."""


def traced(daemon: Daemon) -> bool:
    """Whether every thread of the daemon is under strace."""
    folder = Path(f"/proc/{daemon.pid}/task")
    statuses = [(folder / thread / "status").read_text() for thread in os.listdir(folder)]
    return all("TracerPid:\t0\n" not in status for status in statuses)


@contextlib.contextmanager
def failing(daemon: Daemon, fault: Fault) -> Iterator[None]:
    """While it lasts the daemon meets the fault. Raises `NotTraced`."""
    when = f"{fault.number}{'+' * fault.lasting}"
    command = ["strace", "-f", "-p", str(daemon.pid), "-o", str(notes(daemon)),
               "-e", f"trace={fault.call}",
               "-e", f"inject={fault.call}:error={fault.error}:when={when}"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE) as strace:
        try:
            while not traced(daemon):
                if strace.poll() is not None:
                    assert strace.stderr is not None
                    raise NotTraced(strace.stderr.read().decode().strip())
            yield
        finally:
            strace.send_signal(signal.SIGINT)


def notes(daemon: Daemon) -> Path:
    """Where strace writes what it saw."""
    return daemon.folder / "strace"


def met(daemon: Daemon) -> int:
    """How many calls failed on purpose last time."""
    return notes(daemon).read_text().count("(INJECTED)")


def upload(daemon: Daemon, way: Way, error: str) -> bool:
    """An upload with a live reader; whether it succeeded. If not, it failed as it should."""
    got = daemon.folder / "got"
    reader = start_curl("--output", str(got), "--write-out", "%{http_code}", daemon.url("/k"))
    eventually(lambda: daemon.state()["waiting_readers"] == 1)
    status, text = put(daemon, "/k", BODY, "--max-time", "20", chunked=way.chunked)
    code, _ = reader.communicate(timeout=30)
    if reader.returncode == 0 and code == b"200":
        assert status == 200, "a reader took the part for the whole"
        assert sha(got.read_bytes()) == sha(BODY)
    if status == 200:
        return True
    assert_refused(status, text, error)
    return False


def download(daemon: Daemon, error: str) -> bool:
    """A download of a whole upload; whether it succeeded. If not, it failed as it should."""
    got = daemon.folder / "got"
    done = curl(
        "--output", str(got), "--write-out", "%{http_code}", "--max-time", "20", daemon.url("/k")
    )
    status = int(done.stdout)
    if status != 200:
        assert_refused(status, got.read_text() if status else "", error)
        return False
    if done.returncode == 0:
        assert sha(got.read_bytes()) == sha(BODY)
    return done.returncode == 0


def assert_refused(status: int, text: str, error: str) -> None:
    """One sentence and a fitting status, or a connection that was cut without an answer."""
    if status == 0:
        return
    assert status in ((500, 502, 503) if error == "EIO" else (502, 503)), (status, text)
    assert text.endswith("\n"), text
    assert text.count("\n") == 1, text


def assert_well(daemon: Daemon, way: Way) -> None:
    """The key is free, an upload and its download work, and then nothing is held."""
    eventually(lambda: key_of(daemon, "k") is None)
    assert put(daemon, "/k?max-age=3600", BODY, chunked=way.chunked)[0] == 200
    assert sha(curl(daemon.url("/k")).stdout) == sha(BODY)
    assert curl("--request", "DELETE", daemon.url("/k")).returncode == 0
    eventually(lambda: at_rest(daemon))
