"""What is done to a disk: all bytes at their place, and durable or not."""

import errno
import fcntl
import os

import pytest

from filepipe.journal.disk import Disk
from filepipe.storage import system_calls


def test_a_write_goes_on_where_the_kernel_stopped(tmp_path, monkeypatch):
    """It may take a part of what it is given, and cut anywhere."""
    real = os.pwritev
    monkeypatch.setattr(
        os, "pwritev", lambda fd, views, offset: real(fd, [b"".join(views)[:3]], offset)
    )
    disk = Disk()
    fd = disk.open(tmp_path / "file", new=True)
    disk.write(fd, [b"ab", b"", b"cdefg", b"h"], 2)
    disk.flush(fd)
    assert disk.read(fd, 100, 0) == b"\0\0abcdefgh"
    disk.cut(fd, 4)
    assert disk.read(fd, 100, 2) == b"ab"
    disk.close(fd)


def test_bytes_are_copied(tmp_path, monkeypatch):
    """However many blocks they are; a file that has fewer gives what it has."""
    monkeypatch.setattr("filepipe.journal.disk._BLOCK", 3)
    (tmp_path / "file").write_bytes(b"0123456789")
    disk = Disk()
    fd = disk.open(tmp_path / "file")
    disk.copy(fd, 2, 9, tmp_path / "copy")
    disk.copy(fd, 9, 20, tmp_path / "end")
    disk.close(fd)
    assert (tmp_path / "copy").read_bytes() == b"2345678"
    assert (tmp_path / "end").read_bytes() == b"9"


def test_a_file_that_is_there_is_not_made_anew(tmp_path):
    """Nor is a link followed."""
    disk = Disk()
    (tmp_path / "file").write_bytes(b"data")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(FileExistsError):
        disk.open(tmp_path / "file", new=True)
    with pytest.raises(OSError, match="symbolic"):
        disk.open(tmp_path / "link")


def test_a_flush_that_failed_is_not_tried_by_another_call(tmp_path, monkeypatch):
    """Where there is a stronger one (macOS), a weaker one that succeeds says nothing after it."""

    def fail(fd, operation):
        raise OSError(errno.EIO, "lost")

    monkeypatch.setattr(system_calls, "_FULL", 51)
    monkeypatch.setattr(fcntl, "fcntl", fail)
    monkeypatch.setattr(os, "fsync", lambda fd: pytest.fail("it was tried again"))
    disk = Disk()
    fd = disk.open(tmp_path / "file", new=True)
    with pytest.raises(OSError, match="lost"):
        disk.flush(fd)
    disk.close(fd)
