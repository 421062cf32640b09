"""The habits of piping's people: two curls, streams, tar, and an exit status that tells."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.piping.front import (
    ABORTED,
    ALL_ABORTED,
    BEFORE,
    CONNECTED,
    FAILED,
    FORM,
    RECEIVED,
    SENT,
    START,
    WAITING,
    Front,
)

CUT = 18
"""Curl's exit status for an answer that lacks its end."""


class Curl(subprocess.Popen[bytes]):
    """A curl in the background."""

    def __init__(self, front: Front, path: str, *arguments: str) -> None:
        super().__init__(
            front.curl(*arguments, path=path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def lines(self, data: bytes | None = None) -> list[str]:
        """What it printed up to its end."""
        return self.communicate(data, timeout=20)[0].decode().splitlines()


def test_the_sender_first(front: Front, path: str, tmp_path: Path) -> None:
    """`curl -T FILE`, then `curl`."""
    body = body_of(2 * MIB)
    file = tmp_path / "file"
    file.write_bytes(body)
    with Curl(front, path, "--upload-file", str(file)) as sender, Curl(front, path) as receiver:
        assert sha(receiver.communicate()[0]) == sha(body)
        lines = sender.lines()
        assert (sender.returncode, receiver.returncode) == (0, 0)
    assert lines[0] == WAITING.format(1)
    assert lines[1] in (CONNECTED, BEFORE.format(1))
    assert lines[2:] == [START.format(1), SENT, RECEIVED]


def test_the_receiver_first(front: Front, path: str) -> None:
    """`curl`, then `curl -d`."""
    with Curl(front, path) as receiver:
        eventually(lambda: front.waiting() == 1)
        with Curl(front, path, "--data", "hello") as sender:
            expected = [WAITING.format(1), BEFORE.format(1), START.format(1), SENT, RECEIVED]
            assert sender.lines() == expected
        assert receiver.communicate()[0] == b"hello"
        assert (sender.returncode, receiver.returncode) == (0, 0)


def test_a_directory_by_tar(modern: Front, path: str, tmp_path: Path) -> None:
    """`tar | curl -T -`, and `curl | tar` on the other side."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(body_of(MIB))
    pack = subprocess.Popen(
        ["tar", "--create", "--directory", str(tmp_path), "folder"], stdout=subprocess.PIPE
    )
    command = modern.curl("--upload-file", "-", path=path)
    with (
        pack,
        subprocess.Popen(command, stdin=pack.stdout, stdout=subprocess.PIPE) as sender,
        Curl(modern, path) as receiver,
    ):
        packed = receiver.communicate(timeout=20)[0]
        assert sender.communicate(timeout=20)[0].decode().splitlines()[-1] == RECEIVED
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        member = archive.extractfile("folder/file")
        assert member is not None
        assert sha(member.read()) == sha(body_of(MIB))


def test_an_endless_stream(modern: Front, path: str) -> None:
    """It runs while its receiver takes it, and fails when the receiver has had enough."""
    with (
        subprocess.Popen(["yes"], stdout=subprocess.PIPE) as endless,
        Curl(modern, path) as receiver,
    ):
        eventually(lambda: modern.waiting() == 1)
        command = modern.curl("--upload-file", "-", path=path)
        with subprocess.Popen(command, stdin=endless.stdout, stdout=subprocess.PIPE) as sender:
            assert receiver.stdout is not None
            assert receiver.stdout.read(4 * MIB) == b"y\n" * (2 * MIB)
            receiver.kill()
            assert sender.wait(20) != 0
            assert sender.stdout is not None
            lines = sender.stdout.read().decode().splitlines()
        endless.kill()
    assert lines[:3] == [WAITING.format(1), BEFORE.format(1), START.format(1)]
    assert set(lines[3:]) <= {ABORTED, ALL_ABORTED}


def test_nobody_comes_for_a_small_body(modern: Front, path: str) -> None:
    """The early 200 has no end, so curl says that it failed."""
    with Curl(modern, f"{path}?wait=0.1", "--data", "hello", "--fail") as sender:
        assert sender.lines() == [
            WAITING.format(1), "[ERROR] Nobody came within 0.1 seconds."
        ]  # fmt: skip
        assert sender.returncode == CUT


def test_a_small_form_that_is_none(modern: Front, path: str) -> None:
    """The same when what was sent cannot be handed over."""
    with Curl(modern, path) as receiver:
        eventually(lambda: modern.waiting() == 1)
        with Curl(modern, path, "--data", "no form", "--header", FORM) as sender:
            lines = sender.lines()
            assert lines[2:4] == [START.format(1), FAILED]
            assert sender.returncode == CUT
        assert receiver.lines() == ["[ERROR] The sender did not deliver."]


def test_the_receiver_leaves_in_the_middle(modern: Front, path: str) -> None:
    """The same when the receiver had a part of it only."""
    receiver = modern.receive(path)
    eventually(lambda: modern.waiting() == 1)
    with Curl(modern, path, "--upload-file", "-") as sender:
        assert sender.stdin is not None
        sender.stdin.write(b"hello")
        sender.stdin.flush()
        assert receiver.take(5) == b"hello"
        receiver.leave()
        eventually(lambda: modern.present() == 0)
        assert sender.lines()[3:] == [ABORTED, ALL_ABORTED]  # curl looks when its input goes on
        assert sender.returncode == CUT


def test_the_sender_leaves_in_the_middle(front: Front, path: str) -> None:
    """The receiver's curl does not take the part for the whole."""
    with Curl(front, path, "--no-buffer") as receiver:
        eventually(lambda: front.waiting() == 1)
        sender = front.open(path, 10, first=b"hello")
        assert receiver.stdout is not None
        assert os.read(receiver.stdout.fileno(), 5) == b"hello"
        sender.leave()
        receiver.communicate(timeout=20)
        assert receiver.returncode == CUT


@pytest.mark.parametrize("leave", ["terminate", "kill"])
def test_an_interrupted_curl_frees_the_path(front: Front, path: str, leave: str) -> None:
    """Whoever waits and is interrupted."""
    with Curl(front, path, "--data", "hello") as sender:
        eventually(lambda: front.present() == 1)
        getattr(sender, leave)()
    eventually(lambda: front.present() == 0)
    with Curl(front, path) as receiver:
        eventually(lambda: front.waiting() == 1)
        getattr(receiver, leave)()
    eventually(lambda: front.waiting() == 0)
