"""What whoever keeps bytes on a disk does to a file: write all of it, make it durable, say why not.

Everything here blocks. It raises OSError, which `translated` puts into our words.
"""

from __future__ import annotations

import errno
import fcntl
import os

from filepipe.errors import DiskFull, FilepipeError, StorageFailed, TooManyFiles

IOV_MAX = os.sysconf("SC_IOV_MAX")
"""So many buffers the kernel takes at once."""

_FULL = getattr(fcntl, "F_FULLFSYNC", None)
"""Where `fsync` leaves the bytes in the cache of the drive (macOS), this does not."""

_UNABLE = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY)


def translated(error: OSError) -> FilepipeError:
    """Say what happened without the path: a client may see it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFull("disk full, try again later")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return TooManyFiles("too many open files, try again later")
    return StorageFailed(f"the storage failed: {error.strerror}")


def write_all(fd: int, views: list[memoryview], offset: int) -> None:
    """Write every byte of the buffers, none of which is empty, at `offset`; uses up `views`."""
    first = 0
    while first < len(views):
        written = os.pwritev(fd, views[first : first + IOV_MAX], offset)
        offset += written
        while first < len(views) and written >= len(views[first]):
            written -= len(views[first])
            first += 1
        if written:
            views[first] = views[first][written:]


def flush_data(fd: int) -> None:
    """Make the bytes of a file durable, and as much about it as is needed to read them."""
    if _FULL is None:
        os.fdatasync(fd)
    else:
        flush_file(fd)


def flush_file(fd: int) -> None:
    """Make a file durable, or the names in a folder."""
    if _FULL is not None:
        try:
            fcntl.fcntl(fd, _FULL)
        except OSError as error:
            if error.errno not in _UNABLE:
                raise
        else:
            return
    os.fsync(fd)


def flush_folder(fd: int) -> None:
    """Make the names in a folder durable; nothing where the file system has no such call."""
    try:
        flush_file(fd)
    except OSError as error:
        if error.errno not in _UNABLE:
            raise
