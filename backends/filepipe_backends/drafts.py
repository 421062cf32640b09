"""The folder of drafts: a file under its handle for each, and what a move left beside it.

All of this runs on threads, or before serving, and raises OSError where nothing else is said.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path, PurePosixPath

from filepipe.errors import ConfigError, StorageFailed
from filepipe.storage.system_calls import flush_folder
from filepipe_backends.objects import FOLDER, Place, exists, open_object
from filepipe_backends.preallocation import reserve

INSIDE = ".filepipe-parts"
"""The folder of drafts beside the objects."""

REPLACING = ".out"
"""Added to a handle: a second link to the draft, on its way over an older object."""

MOVING = ".to"
"""Added to a handle: a note of where the draft is moved."""

GONE = "the storage failed: the draft is gone"
TAKEN = "another filepipe keeps its uploads there"
CUT = "the storage failed: a draft has not the size that was announced"


def private(folder: Path) -> int:
    """Open a folder that nobody else may enter, made where it is missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(folder, FOLDER | os.O_NOFOLLOW)
    found = os.fstat(fd)
    if found.st_uid != os.geteuid():
        os.close(fd)
        raise ConfigError(f"{folder} belongs to somebody else")
    if found.st_mode & 0o077:
        os.fchmod(fd, 0o700)
    return fd


def can_be_moved(drafts: int, root: Path) -> bool:
    """Try it: two mounts of one file system have the same number and still refuse."""
    probe = f".filepipe-{secrets.token_hex(8)}"
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=drafts))
    try:
        os.rename(probe, root / probe, src_dir_fd=drafts)
    except OSError as error:
        os.unlink(probe, dir_fd=drafts)
        if error.errno == errno.EXDEV:
            return False
        raise
    os.unlink(root / probe)
    return True


def lock(drafts: int) -> int:
    """Keep other daemons out of the folder until what this returns is closed."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(".lock", flags, 0o600, dir_fd=drafts)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if isinstance(error, BlockingIOError):
            raise ConfigError(TAKEN) from None
        raise
    return fd


def lock_folder(folder: int) -> None:
    """Do the same by the folder itself, where its file system can (NFS locks only files)."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(TAKEN) from None
    except OSError:
        return


def begin(place: Place, handle: str, size: int | None) -> int:
    """Make a draft that is as long as the object will be; empty where nobody knows."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    # the folder keeps others out of a draft; who may read the object, the umask says
    fd = os.open(handle, flags, 0o666, dir_fd=place.drafts)
    try:
        reserve(fd, size or 0)
        os.ftruncate(fd, size or 0)
        os.fsync(fd)
        flush_folder(place.drafts)
    except BaseException:
        os.close(fd)
        with suppress(OSError):
            os.unlink(handle, dir_fd=place.drafts)
        raise
    return fd


def reopen(place: Place, handle: str, size: int | None) -> int:
    """Open a draft, wherever it is by now. Raises `StorageFailed` where it is not as it was."""
    try:
        path = moved_to(place, handle)
        if path is not None:
            fd = open_object(place, path)
        else:
            fd = os.open(handle, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.drafts)
    except FileNotFoundError:
        raise StorageFailed(GONE) from None
    if size is None or os.fstat(fd).st_size == size:
        return fd
    os.close(fd)
    raise StorageFailed(CUT)


def handles(place: Place) -> list[str]:
    """The handle of each draft, moved ones included."""
    return sorted({name.partition(".")[0] for name in os.listdir(place.drafts)} - {""})


def drop(place: Place, handle: str) -> None:
    """Remove what there is of a draft; its object stays."""
    for name in (handle, handle + REPLACING, handle + MOVING):
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=place.drafts)


def note_move(place: Place, handle: str, path: str) -> None:
    """Write down, durably, what a draft is about to be called."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(handle + MOVING, flags, 0o600, dir_fd=place.drafts)
    try:
        os.write(fd, os.fsencode(path))
        os.fsync(fd)
    finally:
        os.close(fd)
    flush_folder(place.drafts)


def moved_to(place: Place, handle: str) -> PurePosixPath | None:
    """The path of a draft that has been moved; None for one that has its own name still."""
    if exists(place.drafts, handle):
        return None
    fd = os.open(handle + MOVING, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.drafts)
    with open(fd, "rb") as note:
        return PurePosixPath(os.fsdecode(note.read()))
