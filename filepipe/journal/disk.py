"""The few things that are done to a disk, in one place: tests put a disk here that forgets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from filepipe.storage import system_calls

_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class Disk:
    """Calls that block and raise OSError; what was not flushed may be lost, in part and unordered.

    One thread at a time uses a descriptor for anything but `read`.
    """

    def open(self, path: Path, *, new: bool = False) -> int:
        """A descriptor of the file; a new one must not be there yet."""
        return os.open(path, _FLAGS | (os.O_CREAT | os.O_EXCL if new else 0), 0o600)

    def close(self, fd: int) -> None:
        """Let go of a descriptor."""
        with suppress(OSError):
            os.close(fd)

    def read(self, fd: int, limit: int, offset: int) -> bytes:
        """Up to `limit` bytes at `offset`; b"" at the end."""
        return os.pread(fd, limit, offset)

    def write(self, fd: int, chunks: Sequence[bytes], offset: int) -> None:
        """Write every byte of the chunks at `offset`."""
        views = [memoryview(chunk) for chunk in chunks if chunk]
        system_calls.write_all(fd, views, offset)

    def cut(self, fd: int, size: int) -> None:
        """Drop what is at `size` and behind it."""
        os.ftruncate(fd, size)

    def flush(self, fd: int) -> None:
        """Return when what was written and cut before is on the disk."""
        system_calls.flush_data(fd)

    def remove(self, path: Path) -> None:
        """Remove a name; one that is gone is fine."""
        with suppress(FileNotFoundError):
            os.unlink(path)

    def flush_names(self, folder: Path) -> None:
        """Return when the names that were made and removed in a folder are on the disk."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            system_calls.flush_file(fd)
        finally:
            os.close(fd)
