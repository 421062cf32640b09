"""Blobs in files that have no name: the kernel removes them when the process ends.

The rules of `calls` hold, and one more: `size` governs. What a failed write left behind it is cut
off, or overwritten.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any

from filepipe.errors import ConfigError, StorageFailed
from filepipe.storage.system_calls import write_all
from filepipe_backends.calls import Calls, made
from filepipe_backends.preallocation import reserve

THREADS = 4
"""Enough to keep one disk busy; more only wait for each other."""

PREFIX = ".filepipe-"
"""How a file is called between its making and its unlinking, where O_TMPFILE does not exist."""


class FileBlob:
    """A file without a name."""

    __slots__ = ("_calls", "size")

    def __init__(self, fd: int, pool: ThreadPoolExecutor) -> None:
        self.size = 0
        self._calls = Calls(fd, pool)

    async def append(self, chunks: Sequence[bytes]) -> None:
        """Write the chunks at the end."""
        calls = self._calls
        await calls.run(_write, calls.fd, chunks, self.size, calls.orphans())
        self.size += sum(map(len, chunks))

    async def read(self, offset: int, limit: int) -> bytes:
        """Read up to `limit` bytes from `offset`."""
        if offset >= self.size:
            return b""
        count = min(limit, self.size - offset)
        data = await self._calls.run(os.pread, self._calls.fd, count, offset)
        if not data:
            raise StorageFailed("the storage failed: a file is shorter than what was written to it")
        return data

    async def finish(self) -> None:
        """Do nothing: every append has been written, and nothing here outlives the process."""

    async def discard(self) -> None:
        """Close the file, which frees its blocks."""
        await self._calls.close()

    async def descriptor(self) -> int:
        """Name the open file, once no cancelled write of ours can still change it."""
        await self._calls.settle()
        return self._calls.fd

    def grow(self, size: int) -> None:
        """Count `size` bytes that were written through the descriptor."""
        self.size += size


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
        fd = await made(self._pool, _open, self._folder, expected or 0)
        return FileBlob(fd, self._pool)

    async def aclose(self) -> None:
        """End the threads, after what they still have to do."""
        await asyncio.to_thread(self._pool.shutdown)


# What follows runs on the threads of the pool, or before serving.


def _open(folder: str, expected: int) -> int:
    fd = _open_unnamed(folder)
    try:
        reserve(fd, expected)
    except OSError:
        os.close(fd)
        raise
    return fd


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
        write_all(fd, [memoryview(chunk) for chunk in chunks if chunk], offset)
    except OSError:
        with suppress(OSError):
            os.ftruncate(fd, offset)  # gives the blocks of half an append back to others
        raise
