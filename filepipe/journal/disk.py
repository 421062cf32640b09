"""The few things that are done to a disk, in one place: tests put a disk here that forgets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from filepipe.storage import system_calls

# O_NONBLOCK: below a root somebody may have put a pipe or a device
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_BLOCK = 1024 * 1024


class Disk:
    """Calls that block and raise OSError; what was not flushed may be lost, in part and unordered.

    One thread at a time uses a descriptor for anything but `read`.
    """

    def open(self, path: Path, *, new: bool = False, folder: int | None = None) -> int:
        """A descriptor of the file; a new one must not be there yet.

        A path that is not absolute begins at the open `folder`.
        """
        flags = _FLAGS | (os.O_CREAT | os.O_EXCL if new else 0)
        return os.open(path, flags, 0o600, dir_fd=folder)

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

    def copy(self, fd: int, start: int, end: int, path: Path) -> None:
        """Make a file at `path` of the bytes from `start` to `end`, durable but for its name."""
        made = self.open(path, new=True)
        try:
            while (left := end - start) > 0 and (block := self.read(fd, min(left, _BLOCK), start)):
                self.write(made, [block], os.fstat(made).st_size)
                start += len(block)
            self.flush(made)
        finally:
            self.close(made)

    def remove(self, path: Path, *, folder: int | None = None) -> None:
        """Remove a name; one that is gone is fine."""
        with suppress(FileNotFoundError):
            os.unlink(path, dir_fd=folder)

    def flush_names(self, folder: Path) -> None:
        """Return when the names that were made and removed in a folder are on the disk."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            system_calls.flush_file(fd)
        finally:
            os.close(fd)
