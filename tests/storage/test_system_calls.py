"""System calls on files: every byte is written, and errors are told in words.

Flushing is tested where it is used, in tests/backends/test_flushes.py and tests/journal.
"""

import errno
import os

import pytest

from filepipe.errors import DiskFull, StorageFailed, TooManyFiles
from filepipe.storage.system_calls import IOV_MAX, translated, write_all


def test_more_buffers_than_the_kernel_takes(tmp_path):
    """All of them are written, in order."""
    parts = [b"%06d" % number for number in range(2 * IOV_MAX + 3)]
    with (tmp_path / "file").open("wb") as file:
        write_all(file.fileno(), [memoryview(part) for part in parts], 5)
    assert (tmp_path / "file").read_bytes() == bytes(5) + b"".join(parts)


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
