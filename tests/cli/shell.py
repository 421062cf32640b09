"""The commands as a shell runs them: streams, a terminal, signals."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.client.fake_origin import FakeOrigin
from tests.conftest import eventually

Call = Callable[..., tuple[object, str, str]]
"""A command in this process: its arguments to its exit code, stdout and stderr."""


class Shell:
    """Runs `filepipe` in a folder of its own, with `url` as its server."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "FILEPIPE_URL": url,
            "NO_PROXY": "*",
            "PYTHONWARNINGS": "error",
            "COLUMNS": "100",
            "TERM": "xterm",
        }

    def start(self, *arguments: str, **streams: Any) -> subprocess.Popen[bytes]:
        """Start a command; without streams of its own it has no input and pipes for output."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            [sys.executable, "-m", "filepipe", *arguments],
            cwd=self.folder,
            env=self.environment,
            **{**pipes, **streams},
        )
        self.started.append(process)
        return process

    def close(self) -> None:
        """End what a test that failed has left running."""
        for process in self.started:
            if process.returncode is None:
                process.kill()
                process.communicate(timeout=50)

    def run(self, *arguments: str, data: bytes | None = None) -> tuple[int, bytes, str]:
        """Exit code, stdout and stderr of a command whose input is `data`."""
        stdin = subprocess.DEVNULL if data is None else subprocess.PIPE
        with self.start(*arguments, stdin=stdin) as process:
            out, err = process.communicate(data, timeout=50)
        return process.returncode, out, err.decode()

    def on_a_terminal(self, *arguments: str, **streams: Any) -> tuple[int, str, bytes]:
        """Exit code, what a terminal on stderr shows, and stdout."""
        ours, theirs = pty.openpty()
        with self.start(*arguments, stderr=theirs, **streams) as process:
            os.close(theirs)
            shown = b""
            # The end of a pseudo-terminal is an error on Linux.
            try:
                while block := os.read(ours, 65536):
                    shown += block
            except OSError:
                pass
            assert process.stdout is not None
            out = process.stdout.read()
        os.close(ours)
        return process.returncode, shown.decode(), out


def stop(process: subprocess.Popen[bytes]) -> str:
    """Press Ctrl-C; returns what the command says then."""
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=50)
    return err.decode()


def await_request(origin: FakeOrigin, method: str) -> None:
    """Wait until such a request arrived."""
    eventually(lambda: origin.requests(method))
