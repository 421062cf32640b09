"""What every test may use: real daemons as processes of their own, real curl, raw sockets."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import smbd
from tests.smbd import Smbd

# how long an example takes is the machine's affair
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

START = 30.0
"""Seconds that a daemon may take to start on a busy machine."""


class Daemon:
    """A running `filepipe serve`; `log` holds its stderr, one JSON object a line."""

    def __init__(self, arguments: list[str], folder: Path, **process: Any) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.log_path = folder / "daemon.log"
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("FILEPIPE_")
        }
        environment |= process.pop("env", {})
        command = [sys.executable, "-m", "filepipe", "serve", "--data-dir", str(self.data_dir)]
        if not any(argument in ("--listen", "-l") for argument in arguments):
            arguments = ["--listen", "127.0.0.1:0", *arguments]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*process.pop("prefix", ()), *command, *arguments],
                cwd=folder, env=environment, stdout=log, stderr=log, **process,
            )  # fmt: skip
        self.addresses = self._wait_until_listening(sum(a in ("--listen", "-l") for a in arguments))

    def _wait_until_listening(self, count: int) -> list[str]:
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            addresses = [line["address"] for line in self.log() if line["event"] == "listening"]
            if len(addresses) >= count:
                return addresses
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"the daemon did not start:\n{self.log_path.read_text()}")

    def log(self) -> list[dict[str, Any]]:
        """The lines that are JSON; others are plain text, as `{"event": None, "text": …}`."""
        lines = []
        for line in self.log_path.read_text().splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                lines.append({"event": None, "text": line})
        return lines

    @property
    def pid(self) -> int:
        """The daemon's own process, also under a wrapper such as strace."""
        return self.process.pid

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first listener."""
        host, _, port = self.addresses[0].rpartition(":")
        return host.strip("[]"), int(port)

    def url(self, path: str = "", listener: int = 0) -> str:
        """The URL of `path` on a listener."""
        return f"http://{self.addresses[listener]}{path}"

    def state(self) -> dict[str, Any]:
        """What /state says."""
        with urllib.request.urlopen(self.url("/state"), timeout=10) as answer:
            return json.load(answer)

    def connect(self, data: bytes = b"", listener: int = 0) -> socket.socket:
        """A raw connection on which `data` has been sent."""
        host, _, port = self.addresses[listener].rpartition(":")
        sock = socket.create_connection((host.strip("[]"), int(port)), timeout=20)
        if data:
            sock.sendall(data)
        return sock

    def talk(self, data: bytes, listener: int = 0) -> bytes:
        """Everything the daemon answers to `data` until it closes the connection."""
        with self.connect(data, listener) as sock:
            return read_all(sock)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def kill(self) -> None:
        """End it, however it is."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def assert_clean_log(self) -> None:
        """No traceback, no error, no warning of ours: clients cannot cause one."""
        text = self.log_path.read_text()
        assert "Traceback" not in text, text
        bad = [line for line in self.log() if line.get("level") in ("error", "critical")]
        assert not bad, bad


def read_all(sock: socket.socket) -> bytes:
    """Everything until the end of the connection; a reset ends it too."""
    chunks = []
    with contextlib.suppress(ConnectionResetError):
        while chunk := sock.recv(65536):
            chunks.append(chunk)
    return b"".join(chunks)


def read_until(sock: socket.socket, mark: bytes) -> bytes:
    """What arrives up to and including `mark`, perhaps a little more."""
    data = b""
    while mark not in data:
        chunk = sock.recv(65536)
        assert chunk, f"the connection ended after {data!r}"
        data += chunk
    return data


def eventually(condition: Callable[[], object], seconds: float = 15.0) -> None:
    """Wait until `condition` holds; it must, within a generous bound."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Start daemons with command-line arguments; they end with the test."""
    daemons: list[Daemon] = []

    def start_daemon(*arguments: str, **process: Any) -> Daemon:
        folder = tmp_path / f"daemon-{len(daemons)}"
        folder.mkdir()
        daemons.append(Daemon(list(arguments), folder, **process))
        return daemons[-1]

    yield start_daemon
    for daemon in daemons:
        daemon.kill()


@pytest.fixture
def daemon(start: Callable[..., Daemon]) -> Daemon:
    """A daemon with the default settings on a loopback port."""
    return start()


@pytest.fixture(scope="session")
def samba(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Smbd]:
    """A Samba for all tests of this process, which leave it as it was: each has its own folder."""
    smbd.need()
    # no test cuts the power of this machine, so its disk need not be waited for
    server = Smbd(tmp_path_factory.mktemp("samba"), more_of_share="    strict sync = no")
    yield server
    server.kill()


@pytest.fixture(params=["relay", "no-relay"])
def each_path(request: pytest.FixtureRequest) -> str:
    """The flag that lets the kernel move bodies, or not: both must mean the same."""
    return f"--{request.param}"


def curl_command(*arguments: str) -> list[str]:
    """The command line of the real curl, quiet and with a bound; skips where there is none."""
    if shutil.which("curl") is None:
        pytest.skip("this machine has no curl")
    return ["curl", "--silent", "--show-error", "--max-time", "50", *arguments]


def curl(
    *arguments: str, check: bool = False, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run the real curl; `returncode`, `stdout` and `stderr` are its own."""
    command = curl_command(*arguments)
    return subprocess.run(command, capture_output=True, check=check, timeout=60, **options)


def start_curl(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """The same in the background; stdout is a pipe."""
    command = curl_command(*arguments)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
