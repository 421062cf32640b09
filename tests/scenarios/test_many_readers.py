"""Readers before, during and after an upload, one or fifty: each gets every byte."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Daemon, curl, eventually, start_curl
from tests.scenarios.peers import MIB, Download, Upload, at_rest, body_of, put, readers, sha, stored
from tests.scenarios.ways import Way

Start = Callable[..., Daemon]

SIZES = {"in memory": 200_000, "spilled": 3 * MIB + 1}


def readers_of(daemon: Daemon, folder: Path, count: int) -> dict[Path, subprocess.Popen[bytes]]:
    """Start so many real curls that read /k, each into a file of its own."""
    folder.mkdir()
    paths = [folder / str(number) for number in range(count)]
    return {path: start_curl("--output", str(path), daemon.url("/k")) for path in paths}


def assert_all_got(curls: dict[Path, subprocess.Popen[bytes]], body: bytes) -> None:
    """Every one of them ended well, with these bytes."""
    for path, process in curls.items():
        _, complaint = process.communicate(timeout=50)
        assert process.returncode == 0, complaint
        assert sha(path.read_bytes()) == sha(body)


@pytest.mark.parametrize("size", SIZES.values(), ids=list(SIZES))
def test_before_during_and_after(start: Start, way: Way, size: int, tmp_path: Path) -> None:
    """It does not matter when a reader comes."""
    daemon = start(way.flag, "--retention", "0.5")
    body = body_of(size)
    before = readers_of(daemon, tmp_path / "before", 1)
    eventually(lambda: daemon.state()["waiting_readers"] == 1)
    with Upload(daemon, "/k", way.length(size)) as upload:
        upload.send(body[: size // 2])
        eventually(lambda: stored(daemon, "k") == size // 2 and readers(daemon, "k") == 1)
        during = readers_of(daemon, tmp_path / "during", 1)
        eventually(lambda: readers(daemon, "k") == 2)
        assert upload.finish(body[size // 2 :]).startswith(b"HTTP/1.1 200 ")
    assert sha(curl(daemon.url("/k")).stdout) == sha(body)
    assert_all_got(before | during, body)
    eventually(lambda: at_rest(daemon))
    daemon.assert_clean_log()


def test_a_body_that_is_all_there_at_once(start: Start, each_path: str) -> None:
    """Readers of a body that arrives in one piece wait for nothing that has happened already."""
    daemon = start(each_path, "--spill-threshold", "64K")
    body = body_of(300_000)  # for the kernel to move, and small enough to be buffered whole
    for number in range(20):
        with contextlib.ExitStack() as stack:
            path = f"/{number}"
            waiting = [stack.enter_context(Download(daemon, path)) for _ in range(5)]
            upload = stack.enter_context(Upload(daemon, path, len(body)))
            upload.sock.sendall(body)
            joining = [stack.enter_context(Download(daemon, path)) for _ in range(5)]
            assert upload.answer().startswith(b"HTTP/1.1 200 ")
            for reader in waiting + joining:
                reader.sock.settimeout(5)
                assert reader.begin() == 200
                assert sha(reader.rest() or b"") == sha(body)
    daemon.assert_clean_log()


def test_fifty_at_once_live(start: Start, each_path: str, tmp_path: Path) -> None:
    """Twenty-five wait for the upload, twenty-five join in its middle."""
    daemon = start(each_path)
    body = body_of(3 * MIB)
    waiting = readers_of(daemon, tmp_path / "waiting", 25)
    eventually(lambda: daemon.state()["waiting_readers"] == 25)
    with Upload(daemon, "/k", len(body)) as upload:
        upload.send(body[:MIB])
        eventually(lambda: readers(daemon, "k") == 25)
        joining = readers_of(daemon, tmp_path / "joining", 25)
        eventually(lambda: readers(daemon, "k") == 50)
        assert upload.finish(body[MIB:]).startswith(b"HTTP/1.1 200 ")
    assert_all_got(waiting | joining, body)
    assert daemon.state()["bytes_out"] == 50 * len(body)
    daemon.assert_clean_log()


def test_fifty_at_once_of_chunks(start: Start, tmp_path: Path) -> None:
    """The same of a body whose length nobody knows, and that moves to the disk while it is read."""
    daemon = start("--spill-threshold", "64K")
    body = body_of(MIB)
    curls = readers_of(daemon, tmp_path / "waiting", 50)
    eventually(lambda: daemon.state()["waiting_readers"] == 50)
    with Upload(daemon, "/k") as upload:
        for offset in range(0, MIB, 50_000):
            upload.send(body[offset : offset + 50_000])
        assert upload.finish().startswith(b"HTTP/1.1 200 ")
    assert_all_got(curls, body)
    daemon.assert_clean_log()


def test_fifty_at_once_late(start: Start, each_path: str, tmp_path: Path) -> None:
    """Fifty downloads of what is finished."""
    daemon = start(each_path)
    body = body_of(3 * MIB)
    put(daemon, "/k", body)
    assert_all_got(readers_of(daemon, tmp_path / "late", 50), body)
    daemon.assert_clean_log()
