"""Start one server for one run, wait until it listens, and end it whatever it does."""

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from modes import MODES, Mode

API_KEY = "the-key-of-the-benchmark-and-nothing-else"
START_SECONDS = 20
STOP_SECONDS = 3


class RunError(Exception):
    """A run gave no numbers; the text says why, for the reader of the table."""


@dataclass(frozen=True)
class Server:
    """One side of the comparison: a name, a command with {port} and {dir}, and how to write to it.

    `modes` are the names of those that it takes part in.
    """

    name: str
    command: tuple[str, ...]
    modes: frozenset[str]
    words: tuple[str, ...] = ()
    ours: bool = False

    def again(self) -> "Server":
        """Give the same server once more, to see how far it is from itself."""
        return replace(self, name=f"{self.name} (again)")


def filepipe(mode: Mode) -> list[Server]:
    """Our daemon, as the interpreter that runs this file has it installed, once a protocol."""
    return [
        Server(
            "filepipe" if number == 0 else f"filepipe {protocol}",
            (sys.executable, "-m", "filepipe", "serve", *_address(protocol), *mode.serve),
            frozenset((mode.name,)),
            ("-prefix", prefix, "-apikey", API_KEY),
            ours=True,
        )
        for number, (protocol, prefix) in enumerate(mode.ours)
    ]


def _address(protocol: str) -> tuple[str, ...]:
    listener = "127.0.0.1:{port}" + ("" if protocol == "auto" else f"={protocol}")
    return ("--listen", listener, "--data-dir", "{dir}")


def parse_peer(text: str) -> Server:
    """Read NAME=COMMAND or NAME[WORD,WORD]=COMMAND; the command runs without a shell.

    A WORD is the name of a mode, or method=... or prefix=... for how the peer is written to.
    Without a mode's name the peer takes part in all that do not ask for it.
    """
    parts = re.fullmatch(r"([^][=]+)(?:\[([^][]*)\])?=(.*)", text, re.DOTALL)
    command = tuple(shlex.split(parts[3])) if parts else ()
    if not (parts and command):
        raise ValueError(f"a peer is NAME=COMMAND or NAME[MODE,MODE]=COMMAND, not {text!r}")
    if "{port}" not in parts[3]:
        raise ValueError(f"the command of {parts[1]} has no {{port}}")
    modes: set[str] = set()
    words: list[str] = []
    for word in parts[2].split(",") if parts[2] else ():
        option, mark, value = word.partition("=")
        if mark and option in ("method", "prefix"):
            words += [f"-{option}", value]
        elif any(word == mode.name for mode in MODES):
            modes.add(word)
        else:
            raise ValueError(f"{parts[1]}: {word!r} is neither a mode nor method= or prefix=")
    usual = {mode.name for mode in MODES if not mode.asked}
    return Server(parts[1], command, frozenset(modes or usual), tuple(words))


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(server: Server) -> Iterator[tuple[int, int, Path]]:
    """Run the server in an empty folder; gives its process id, its port and that folder."""
    with tempfile.TemporaryDirectory(prefix="filepipe-bench-") as scratch:
        data = Path(scratch, "data")
        data.mkdir()
        port = free_port()
        places = {"{port}": str(port), "{dir}": str(data)}
        command = [filled(word, places) for word in server.command]
        # Files that an earlier server left behind must not be written to disk meanwhile.
        os.sync()
        with Path(scratch, "log").open("w+b") as log:
            process = _start(server, command, data, log)
            try:
                _wait_for(port, process, log)
                yield process.pid, port, data
            finally:
                _stop(process)


def filled(word: str, places: dict[str, str]) -> str:
    """Put in what a word leaves open."""
    for place, value in places.items():
        word = word.replace(place, value)
    return word


def _start(
    server: Server, command: list[str], data: Path, log: IO[bytes]
) -> subprocess.Popen[bytes]:
    # Settings of the person who measures must not change what is measured.
    settings = {k: v for k, v in os.environ.items() if not k.startswith("FILEPIPE_")}
    if server.ours:
        settings["API_KEY"] = API_KEY
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
