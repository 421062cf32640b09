"""`filepipe append` and `filepipe follow` at two shells."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import Shell, stop
from tests.conftest import Daemon, curl, eventually
from tests.scenarios.peers import readers, stored


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all of them."""
    made = Daemon(["--wait", "20"], tmp_path_factory.mktemp("daemon"))
    yield made
    made.kill()
    made.assert_clean_log()


@pytest.fixture
def shell(tmp_path: Path, daemon: Daemon) -> Iterator[Shell]:
    """A shell whose server is the daemon."""
    made = Shell(tmp_path, daemon.url())
    yield made
    made.close()


def test_append_and_follow(shell: Shell, daemon: Daemon) -> None:
    """What is piped in comes out at the other shell while it is, and both end well."""
    follower = shell.start("follow", "build/1")
    appender = shell.start("append", "build/1", "--close", stdin=subprocess.PIPE)
    assert appender.stdin is not None
    assert follower.stdout is not None
    appender.stdin.write(b"one\n")
    appender.stdin.flush()
    assert follower.stdout.read(4) == b"one\n"
    out, err = appender.communicate(b"two\n", timeout=50)
    assert (appender.returncode, out, err) == (0, b"8\n", b"")
    out, err = follower.communicate(timeout=50)
    assert (follower.returncode, out, err) == (0, b"two\n", b"")
    assert shell.run("follow", "build/1", "--offset", "2") == (0, b"e\ntwo\n", "")


def test_a_file(shell: Shell, daemon: Daemon) -> None:
    """With its type; nothing is a log, too."""
    (shell.folder / "f").write_bytes(b"x" * 200_000)
    assert shell.run("append", "file", "f", "--type", "text/plain") == (0, b"200000\n", "")
    assert b"Content-Type: text/plain\r\n" in curl("-I", daemon.url("/file")).stdout
    assert shell.run("append", "nothing", "/dev/null") == (0, b"0\n", "")
    assert shell.run("append", "file", "missing")[::2] == (
        1,
        "filepipe: missing: No such file or directory\n",
    )


def test_whole_lines(shell: Shell, daemon: Daemon) -> None:
    """A line is written when its end is there, the last one at the end."""
    follower = shell.start("follow", "lines", "--lines")
    curl("-d", "one\ntw", daemon.url("/lines?append"), check=True)
    assert follower.stdout is not None
    assert follower.stdout.read(4) == b"one\n"
    curl("--data-binary", "o\nthree", daemon.url("/lines?append&close"), check=True)
    assert follower.communicate(timeout=50)[0] == b"two\nthree"


def test_ends(shell: Shell, daemon: Daemon) -> None:
    """What is not there is exit 3, what is closed 1, Ctrl-C 130."""
    assert shell.run("follow", "never", "--wait", "0")[0] == 3
    curl("-d", "x", daemon.url("/shut?append&close"), check=True)
    code, _, err = shell.run("append", "shut", data=b"more")
    assert (code, err) == (1, "filepipe: the log is closed at offset 1 (409)\n")
    curl("-d", "x", daemon.url("/idle?append"), check=True)
    follower = shell.start("follow", "idle")
    eventually(lambda: readers(daemon, "idle") == 1)
    assert stop(follower) == "filepipe: stopped\n"
    assert follower.returncode == 130


def test_over_a_restart_of_the_server(shell: Shell, tmp_path: Path) -> None:
    """Killed in the middle and started again: neither side notices, each byte is there once."""
    first = Daemon([], tmp_path)
    shell.environment["FILEPIPE_URL"] = first.url()
    appender = shell.start("append", "log", "--close", stdin=subprocess.PIPE)
    assert appender.stdin is not None
    appender.stdin.write(b"before ")
    appender.stdin.flush()
    eventually(lambda: stored(first, "log") == 7)
    follower = shell.start("follow", "log")
    eventually(lambda: readers(first, "log") == 1)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    appender.stdin.write(b"while ")
    appender.stdin.flush()
    first.log_path.rename(tmp_path / "first.log")
    second = Daemon(["--listen", first.addresses[0]], tmp_path)
    try:
        out, err = appender.communicate(b"after", timeout=50)
        assert (appender.returncode, out, err) == (0, b"18\n", b"")
        assert follower.communicate(timeout=50) == (b"before while after", b"")
    finally:
        second.kill()
