"""Files of ours beside or among other people's: opened, locked, and put in place whole."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path


def own(path: Path, flags: int, mode: int = 0o666) -> int:
    """Open a file; raises OSError for a link, a device, or a file of another user."""
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, mode)
    facts = os.fstat(handle)
    if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
        os.close(handle)
        raise OSError(errno.EPERM, "is not a file of ours", str(path))
    return handle


def locked(path: Path, busy: str, mode: int = 0o666) -> int:
    """Open a file, made if need be, for this process alone.

    Raises OSError, with `busy` for its reason where another process has it.
    """
    while True:
        handle = own(path, os.O_RDWR | os.O_CREAT, mode)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held the lock before may have renamed or removed the file meanwhile.
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except BlockingIOError:
            os.close(handle)
            raise OSError(errno.EBUSY, busy, str(path)) from None
        except FileNotFoundError:
            pass
        os.close(handle)


def replace(path: Path, data: bytes) -> None:
    """Make `data` what the file holds, all of it or nothing, for its owner's eyes only."""
    fresh = path.with_name(path.name + ".new")
    with os.fdopen(own(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
