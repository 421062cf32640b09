"""Blobs in files that have no name: the kernel removes them when the process ends.

Rule 1: a system call that may wait runs on the storage's own threads, never on the event loop.
Rule 2: a call whose caller was cancelled may still be running. It is kept as an orphan, and the
        next write, or the close, waits for it: the number of a descriptor that is closed under a
        running call may already name another file.
Rule 3: `size` governs. What a failed write left behind it is cut off, or overwritten.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from filepipe.errors import (
    ConfigError,
    DiskFull,
    FilepipeError,
    StorageFailed,
    TooManyFiles,
)
from filepipe_backends.preallocation import preallocate

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
"""Enough to keep one disk busy; more only wait for each other."""

IOV_MAX = os.sysconf("SC_IOV_MAX")
"""So many buffers the kernel takes at once."""

PREFIX = ".filepipe-"
"""How a file is called between its making and its unlinking, where O_TMPFILE does not exist."""


class FileBlob:
    """A file without a name."""

    __slots__ = ("_fd", "_orphans", "_pool", "size")

    def __init__(self, fd: int, pool: ThreadPoolExecutor) -> None:
        self.size = 0
        self._fd = fd
        self._pool = pool
        self._orphans: list[Future[Any]] = []

    async def append(self, chunks: Sequence[bytes]) -> None:
        """Write the chunks at the end."""
        await self._call(_write, self._fd, chunks, self.size, tuple(self._orphans))
        self.size += sum(map(len, chunks))

    async def read(self, offset: int, limit: int) -> bytes:
        """Read up to `limit` bytes from `offset`."""
        if offset >= self.size:
            return b""
        count = min(limit, self.size - offset)
        data = await self._call(os.pread, self._fd, count, offset)
        if not data:
            raise StorageFailed("the storage failed: a file is shorter than what was written to it")
        return data

    async def finish(self) -> None:
        """Do nothing: every append has been written, and nothing here outlives the process."""

    async def discard(self) -> None:
        """Close the file once no thread uses it any more, which frees its blocks."""
        call = self._pool.submit(_close, self._fd, tuple(self._orphans))
        await asyncio.shield(asyncio.wrap_future(call))

    async def descriptor(self) -> int:
        """Name the open file, once no cancelled write of ours can still change it."""
        if self._orphans:
            await self._call(wait, tuple(self._orphans))
        return self._fd

    def grow(self, size: int) -> None:
        """Count `size` bytes that were written through the descriptor."""
        self.size += size

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = self._pool.submit(function, *args, **kwargs)
        try:
            return await asyncio.wrap_future(call)
        except asyncio.CancelledError:
            if not call.cancel():
                self._orphans = [orphan for orphan in self._orphans if not orphan.done()]
                self._orphans.append(call)
            raise
        except OSError as error:
            raise _translated(error) from error


class FileStorage:
    """Makes unlinked files in a folder, which it makes itself (0700) when it is missing."""

    def __init__(self, location: str) -> None:
        if not location:
            raise ConfigError("storage file: needs a folder, as in file:/var/lib/filepipe")
        self._folder = os.path.abspath(location)
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            _sweep(self._folder)
            os.close(_open_unnamed(self._folder))
        except OSError as error:
            raise ConfigError(
                f"storage file:{location} cannot be used: {error.strerror}"
            ) from error
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="filepipe-file")

    async def create(self, expected: int | None = None) -> FileBlob:
        """Make an empty file; raises `DiskFull` at once where `expected` bytes have no room."""
        call = self._pool.submit(_open, self._folder, expected or 0)
        try:
            fd = await asyncio.wrap_future(call)
        except asyncio.CancelledError:
            if not call.cancel():
                call.add_done_callback(_close_result)
            raise
        except OSError as error:
            raise _translated(error) from error
        return FileBlob(fd, self._pool)

    async def aclose(self) -> None:
        """End the threads, after what they still have to do."""
        await asyncio.to_thread(self._pool.shutdown)


def _translated(error: OSError) -> FilepipeError:
    """Say what happened without the path: a client may see it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFull("disk full, try again later")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return TooManyFiles("too many open files, try again later")
    return StorageFailed(f"the storage failed: {error.strerror}")


# What follows runs on the threads of the pool, or before serving.


def _open(folder: str, expected: int) -> int:
    fd = _open_unnamed(folder)
    try:
        _check_room(fd, expected)
    except OSError:
        os.close(fd)
        raise
    return fd


def _check_room(fd: int, expected: int) -> None:
    if not expected or preallocate(fd, expected):
        return
    room = os.fstatvfs(fd)
    # A file system without a limit of its own (tmpfs with size=0) says that it has no blocks.
    if room.f_blocks and room.f_bavail * room.f_frsize < expected:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _open_unnamed(folder: str) -> int:
    unnamed: int | None = getattr(os, "O_TMPFILE", None)  # Linux only
    if unnamed is not None:
        try:
            return os.open(folder, unnamed | os.O_RDWR | os.O_EXCL, 0o600)
        except OSError as error:
            # The file system (NFS, some FUSE) or the kernel (EISDIR) does not know O_TMPFILE.
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):
                raise
    path = os.path.join(folder, PREFIX + secrets.token_hex(16))
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with suppress(FileNotFoundError):  # another process that starts here sweeps it for us
            os.unlink(path)
    except OSError:
        os.close(fd)
        raise
    return fd


def _sweep(folder: str) -> None:
    """Remove names that a crash left behind before their unlinking."""
    for name in os.listdir(folder):
        if name.startswith(PREFIX):
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, name))


def _write(fd: int, chunks: Sequence[bytes], offset: int, orphans: tuple[Future[Any], ...]) -> None:
    wait(orphans)
    try:
        _write_all(fd, [memoryview(chunk) for chunk in chunks if chunk], offset)
    except OSError:
        with suppress(OSError):
            os.ftruncate(fd, offset)  # gives the blocks of half an append back to others
        raise


def _write_all(fd: int, views: list[memoryview], offset: int) -> None:
    first = 0
    while first < len(views):
        written = os.pwritev(fd, views[first : first + IOV_MAX], offset)
        offset += written
        while first < len(views) and written >= len(views[first]):
            written -= len(views[first])
            first += 1
        if written:
            views[first] = views[first][written:]


def _close(fd: int, orphans: tuple[Future[Any], ...]) -> None:
    wait(orphans)
    with suppress(OSError):
        os.close(fd)


def _close_result(call: Future[int]) -> None:
    if call.exception() is None:
        os.close(call.result())
