"""`filepipe send` and `receive` through a real daemon, as two people at two shells use them."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import Shell, stop
from tests.conftest import Daemon, curl, eventually, start_curl

# More than all buffers between two processes, so that one of them always has some to go.
LARGE = bytes(range(256)) * 4096 * 24


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all of them."""
    made = Daemon([], tmp_path_factory.mktemp("daemon"))
    yield made
    made.kill()


@pytest.fixture
def shell(tmp_path: Path, daemon: Daemon) -> Iterator[Shell]:
    """A shell whose server is the daemon."""
    made = Shell(tmp_path, daemon.url())
    yield made
    made.close()


def _end(process: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    out, err = process.communicate(timeout=50)
    return process.returncode, out, err.decode()


def _waits(daemon: Daemon, key: str) -> None:
    """Wait until one of two parties is there: a receiver is a number, a sender has a key."""
    eventually(lambda: (state := daemon.state())["waiting_readers"] or key in str(state))


@pytest.mark.parametrize("first", ["send", "receive"])
def test_a_file_in_either_order(shell: Shell, daemon: Daemon, first: str) -> None:
    """Whoever comes first waits; the file arrives whole, under its name."""
    (shell.folder / "f.bin").write_bytes(LARGE)
    (shell.folder / "in").mkdir()
    key = f"order-{first}"
    commands = {"send": ["send", "f.bin", key], "receive": ["receive", key, "-o", "in"]}
    early = shell.start(*commands.pop(first))
    (late,) = commands.values()
    _waits(daemon, key)
    ends = [_end(shell.start(*late)), _end(early)]
    assert [end[0] for end in ends] == [0, 0]
    assert {end[1] for end in ends} == {b"", f"{shell.folder}/in/f.bin\n".encode()}
    assert (shell.folder / "in" / "f.bin").read_bytes() == LARGE


def test_a_stream_while_it_grows(shell: Shell) -> None:
    """What goes into one command comes out of the other at once, not at the end."""
    sender = shell.start("send", "-", "stream", stdin=subprocess.PIPE)
    receiver = shell.start("receive", "stream", "-o", "-")
    assert sender.stdin is not None
    assert receiver.stdout is not None
    for piece in (b"one", b"two", b"three"):
        sender.stdin.write(piece)
        sender.stdin.flush()
        assert receiver.stdout.read(len(piece)) == piece
    assert _end(sender) == (0, b"", "")
    assert _end(receiver) == (0, b"", "")


def test_a_minted_key_meets_curl(shell: Shell) -> None:
    """The line for curl that `send` shows can be typed as it is."""
    (shell.folder / "f").write_bytes(LARGE)
    sender = shell.start("send", "f")
    assert sender.stderr is not None
    shown = ""
    while "curl" not in shown:
        shown = sender.stderr.readline().decode()
    (shell.folder / "there").mkdir()
    receiver = start_curl(*shown.split()[1:], cwd=shell.folder / "there")
    assert _end(sender)[0] == 0
    assert _end(receiver)[0] == 0
    assert (shell.folder / "there" / "f").read_bytes() == LARGE


def test_two_receivers(shell: Shell) -> None:
    """Sending begins when both are there, and both get everything."""
    receivers = [shell.start("receive", "two", "-o", name) for name in ("a", "b")]
    (shell.folder / "f").write_bytes(LARGE)
    assert shell.run("send", "f", "two", "--receivers", "2")[0] == 0
    assert [_end(receiver)[0] for receiver in receivers] == [0, 0]
    assert (shell.folder / "a").read_bytes() == (shell.folder / "b").read_bytes() == LARGE


def test_the_sender_is_killed(shell: Shell) -> None:
    """The receiver says so, and keeps nothing that looks whole."""
    sender = shell.start("send", "-", "killed", stdin=subprocess.PIPE)
    receiver = shell.start("receive", "killed", "-o", "f")
    assert sender.stdin is not None
    sender.stdin.write(LARGE)
    eventually((shell.folder / "f.part").exists)
    eventually(lambda: (shell.folder / "f.part").stat().st_size > 0)
    sender.kill()
    code, _, err = _end(receiver)
    assert code == 4
    assert "it cannot be resumed, only begun anew" in err
    assert list(shell.folder.iterdir()) == []
    _end(sender)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_receiver_is_gone(shell: Shell, number: signal.Signals) -> None:
    """The sender says so although its own bytes are all out; Ctrl-C leaves no file either."""
    (shell.folder / "f").write_bytes(LARGE)
    sender = shell.start("send", "f", "gone")
    receiver = shell.start("receive", "gone", "-o", "-")
    assert receiver.stdout is not None
    receiver.stdout.read(1)
    receiver.send_signal(number)
    code, out, err = _end(sender)
    assert (code, out) == (1, b"")
    assert err == "filepipe: every receiver left (502)\n"
    _end(receiver)
    assert receiver.returncode == (130 if number == signal.SIGINT else -number)


def test_ctrl_c_at_the_sender(shell: Shell, daemon: Daemon) -> None:
    """Who waits can stop, and the key is free for another at once."""
    sender = shell.start("send", "-", "stopped", stdin=subprocess.PIPE)
    _waits(daemon, "stopped")
    assert stop(sender) == "filepipe: stopped\n"
    assert sender.returncode == 130
    receiver = shell.start("receive", "stopped", "-o", "-")
    assert shell.run("send", "-", "stopped", data=b"hello")[0] == 0
    assert _end(receiver)[:2] == (0, b"hello")


def test_nobody_comes(shell: Shell) -> None:
    """Both sides end by themselves, and say so."""
    code, _, err = shell.run("send", "-", "alone", "--wait", "1s", data=b"x")
    assert (code, err.count("\n")) == (1, 1)
    assert "(408)" in err
    code, _, err = shell.run("receive", "alone", "--wait", "1s")
    assert (code, err.count("\n")) == (3, 1)


def test_a_key_in_use(shell: Shell, daemon: Daemon) -> None:
    """A second sender is refused, the first one undisturbed."""
    sender = shell.start("send", "-", "occupied", stdin=subprocess.PIPE)
    _waits(daemon, "occupied")
    code, _, err = shell.run("send", "-", "occupied", data=b"x")
    assert code == 1
    assert "(409)" in err
    receiver = shell.start("receive", "occupied", "-o", "-")
    assert _end(sender)[0] == 0
    assert _end(receiver)[:2] == (0, b"")


def test_receive_of_what_was_put(shell: Shell) -> None:
    """A key that is stored can be received as well."""
    (shell.folder / "f").write_bytes(LARGE)
    assert shell.run("put", "f", "stored")[0] == 0
    assert shell.run("receive", "stored", "-o", "g")[0] == 0
    assert (shell.folder / "g").read_bytes() == LARGE


def test_the_daemon_saw_no_defect(daemon: Daemon) -> None:
    """None of all that was an error of the daemon."""
    assert curl("--fail", daemon.url("/health")).returncode == 0
    daemon.assert_clean_log()
