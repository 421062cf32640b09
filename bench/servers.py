"""Start one server for one run, wait until it listens, and end it whatever it does."""

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

START_SECONDS = 20
STOP_SECONDS = 3


class RunError(Exception):
    """A run gave no numbers; the text says why, for the reader of the table."""


@dataclass(frozen=True)
class Server:
    """One side of the comparison: a name, and a command with {port} and {dir}."""

    name: str
    command: tuple[str, ...]
    ours: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """What the load generator must know to write to this server."""
        if "httpipe" in self.name:
            return ("-method", "POST", "-prefix", "/channels/bench/")
        return ()

    @property
    def cannot(self) -> dict[str, str]:
        """The modes that make no sense here, with the reason."""
        if "httpipe" in self.name:
            ends = "does not end its reader when the writer gave a Content-Length"
            return {"stream": ends} | dict.fromkeys(("late", "stuck"), "keeps nothing")
        if "piping" in self.name:
            return dict.fromkeys(("late", "stuck"), "keeps nothing")
        return {}


def filepipe() -> Server:
    """Our daemon, as the interpreter that runs this file has it installed."""
    command = (sys.executable, "-m", "filepipe", "serve")
    address = ("--listen", "127.0.0.1:{port}", "--data-dir", "{dir}")
    return Server("filepipe", command + address, ours=True)


def parse_peer(text: str) -> Server:
    """Read NAME=COMMAND; the command runs without a shell."""
    name, mark, command = text.partition("=")
    words = tuple(shlex.split(command))
    if not (name and mark and words):
        raise ValueError(f"a peer is NAME=COMMAND, not {text!r}")
    if "{port}" not in command:
        raise ValueError(f"the command of {name} has no {{port}}")
    return Server(name, words)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(server: Server, more: tuple[str, ...] = ()) -> Iterator[tuple[int, int]]:
    """Run the server in an empty folder; gives its process id and port."""
    with tempfile.TemporaryDirectory(prefix="filepipe-bench-") as scratch:
        data = Path(scratch, "data")
        data.mkdir()
        port = free_port()
        places = {"{port}": str(port), "{dir}": str(data)}
        command = [_filled(word, places) for word in server.command + more]
        # Files that an earlier server left behind must not be written to disk meanwhile.
        os.sync()
        with Path(scratch, "log").open("w+b") as log:
            process = _start(server, command, data, log)
            try:
                _wait_for(port, process, log)
                yield process.pid, port
            finally:
                _stop(process)


def _filled(word: str, places: dict[str, str]) -> str:
    for place, value in places.items():
        word = word.replace(place, value)
    return word


def _start(
    server: Server, command: list[str], data: Path, log: IO[bytes]
) -> subprocess.Popen[bytes]:
    # Settings of the person who measures must not change what is measured.
    settings = {k: v for k, v in os.environ.items() if not k.startswith("FILEPIPE_")}
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=settings,
            cwd=data if server.ours else None,
            start_new_session=True,
        )
    except OSError as error:
        raise RunError(f"cannot start {command[0]}: {error.strerror}") from error


def _wait_for(port: int, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        if process.poll() is not None:
            raise RunError(f"ended with status {process.returncode}: {_tail(log)}")
        time.sleep(0.05)
    raise RunError(f"did not listen within {START_SECONDS} s: {_tail(log)}")


def _tail(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        # It leads a session of its own, so this reaches what it started and nobody else.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
