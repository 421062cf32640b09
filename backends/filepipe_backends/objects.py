"""Objects below one folder: every step goes through an open folder and follows no link.

All of this runs on threads and raises OSError.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from filepipe.storage.system_calls import flush_folder
from filepipe_backends.flushes import Flushes

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
"""How a folder is opened."""

ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR)
"""What the system says of a path where no object of ours is."""


class Place(NamedTuple):
    """Two open folders of one file system: where objects are kept, and where drafts are."""

    root: int
    drafts: int


def enter(place: Place, path: PurePosixPath, flushes: Flushes | None = None) -> int:
    """Open the folder that `path` is in, following no link; with `flushes` made, durably."""
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    fd = os.dup(place.root)
    try:
        for name in path.parts[:-1]:
            below = _enter(place, fd, name, make=flushes is not None)
            try:
                if flushes is not None:
                    flushes.folder(fd)  # also when it was there: perhaps only in memory
            except BaseException:
                os.close(below)
                raise
            os.close(fd)
            fd = below
    except BaseException:
        os.close(fd)
        raise
    return fd


def _enter(place: Place, fd: int, name: str, *, make: bool) -> int:
    try:
        below = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=fd)
    except FileNotFoundError:
        if not make:
            raise
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=fd)
        below = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=fd)
    if os.path.samestat(os.fstat(below), os.fstat(place.drafts)):
        os.close(below)
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    return below


def open_object(place: Place, path: PurePosixPath) -> int:
    """Open an object to read it; `FileNotFoundError` where there is none."""
    folder = enter(place, path)
    try:
        # O_NONBLOCK: what somebody put there may be a pipe, whose opening would wait for ever
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        fd = os.open(path.name, flags, dir_fd=folder)
    finally:
        os.close(folder)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def remove_object(place: Place, path: PurePosixPath) -> None:
    """Unlink an object, durably."""
    folder = enter(place, path)
    try:
        os.unlink(path.name, dir_fd=folder)
        flush_folder(folder)
    finally:
        os.close(folder)


def check(root: Path, place: Place) -> str | None:
    """None, or what keeps objects from being kept at `root`."""
    if not os.path.samestat(os.stat(root), os.fstat(place.root)):
        return "the folder of uploads is not the one that was there at the start"
    disk = os.fstatvfs(place.root)
    if disk.f_flag & os.ST_RDONLY or not os.access(root, os.W_OK | os.X_OK):
        return "the folder of uploads cannot be written to"
    if disk.f_blocks and not disk.f_bavail:
        return "the disk of uploads is full"
    return None


def exists(folder: int, name: str) -> bool:
    """Whether anything has the name, be it a link that leads nowhere."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
