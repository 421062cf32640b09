"""`filepipe channel` through a real daemon: a producer and a worker at two shells."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.conftest import Daemon, curl, eventually

# More than all buffers between two processes, so that one of them always has some to go.
LARGE = bytes(range(256)) * 4096 * 24


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all of them."""
    made = Daemon([], tmp_path_factory.mktemp("daemon"))
    yield made
    made.kill()
    made.assert_clean_log()


@pytest.fixture
def shell(tmp_path: Path, daemon: Daemon) -> Iterator[Shell]:
    """A shell whose server is the daemon."""
    made = Shell(tmp_path, daemon.url())
    yield made
    made.close()


def _end(process: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    out, err = process.communicate(timeout=50)
    return process.returncode, out, err.decode()


def _waits(daemon: Daemon, namespace: str, names: list[str]) -> None:
    """Wait until somebody waits in each of these channels."""
    url = daemon.url(f"/channels/{namespace}")
    eventually(lambda: sorted(json.loads(curl("--fail", url).stdout or "[]")) == names)


def test_a_message_each(shell: Shell, daemon: Daemon) -> None:
    """What was put into a channel is got from it; each put ends when its message is taken."""
    producers = [shell.start("channel", "put", f"each/{text}", "--text", text) for text in "ab"]
    _waits(daemon, "each", ["a", "b"])
    assert shell.run("channel", "ls", "each") == (0, b"a\nb\n", "")
    assert b"each" in shell.run("channel", "ls")[1]
    assert shell.run("channel", "get", "each/b") == (0, b"b", "")
    assert shell.run("channel", "get", "each/a") == (0, b"a", "")
    assert [_end(producer) for producer in producers] == [(0, b"", "")] * 2
    assert shell.run("channel", "ls", "each")[0] == 3


def test_a_worker_waits(shell: Shell) -> None:
    """A large message from standard input into a file of a worker who was first."""
    worker = shell.start("channel", "get", "large/x", "-o", "f")
    assert shell.run("channel", "put", "large/x", data=LARGE) == (0, b"", "")
    assert _end(worker)[0] == 0
    assert (shell.folder / "f").read_bytes() == LARGE


def test_a_worker_is_killed(shell: Shell) -> None:
    """The producer learns that its message did not arrive."""
    (shell.folder / "f").write_bytes(LARGE)
    producer = shell.start("channel", "put", "killed/x", "f")
    worker = shell.start("channel", "get", "killed/x")
    assert worker.stdout is not None
    worker.stdout.read(1)
    worker.kill()
    code, _, err = _end(producer)
    assert (code, err.count("\n")) == (1, 1)
    assert "(502)" in err
    _end(worker)


@pytest.mark.parametrize("removed", ["gone/x", "gone"])
def test_a_channel_is_removed(shell: Shell, daemon: Daemon, removed: str) -> None:
    """Who waits there is told so, and so is who removes what is not there."""
    producer = shell.start("channel", "put", "gone/x", "--text", "never")
    _waits(daemon, "gone", ["x"])
    assert shell.run("channel", "rm", removed) == (0, b"", "")
    code, _, err = _end(producer)
    assert (code, err.count("\n")) == (1, 1)
    assert "(410)" in err
    assert shell.run("channel", "rm", removed)[0] == 3


def test_nobody_is_there(shell: Shell) -> None:
    """Both sides give up when they are told to."""
    sides = (["put", "alone/x", "--text", "never"], ["get", "alone/y"])
    for process in [shell.start("channel", *side, "--wait", "1s") for side in sides]:
        code, out, err = _end(process)
        assert (code, out, err.count("\n")) == (1, b"", 1)
        assert "(408)" in err
