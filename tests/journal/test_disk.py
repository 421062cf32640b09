"""What is done to a disk: all bytes at their place, and errors in words."""

import errno
import os

import pytest

from filepipe.errors import DiskFull, StorageFailed, TooManyFiles
from filepipe.journal.disk import Disk, translated


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


def test_a_file_that_is_there_is_not_made_anew(tmp_path):
    """Nor is a link followed."""
    disk = Disk()
    (tmp_path / "file").write_bytes(b"data")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(FileExistsError):
        disk.open(tmp_path / "file", new=True)
    with pytest.raises(OSError, match="symbolic"):
        disk.open(tmp_path / "link")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EMFILE, TooManyFiles),
        (errno.EIO, StorageFailed),
    ],
)
def test_an_error_is_told_without_a_path(code, error):
    """A client may see it."""
    found = translated(OSError(code, os.strerror(code), "/secret"))
    assert type(found) is error
    assert "secret" not in str(found)
