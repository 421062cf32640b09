"""Room beside the records that nobody else has, for what ends uploads and lets them be removed.

A disk is full in its last block: without this, not even the record of what is removed fits.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

SIZE = 1024 * 1024
"""Bytes: many times what the log grows by when one upload is forgotten."""


class Reserve:
    """A file of `SIZE` bytes next to `path`, which means nothing and is given up in need."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + "-room")
        self._held = False

    def take(self) -> None:
        """Hold the room, unless the disk has none to spare: then it is for the next call to try."""
        if self._held or not self._spare():
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(self._path, flags, 0o600)
            with open(fd, "wb", buffering=0) as file:
                while (size := os.fstat(fd).st_size) < SIZE:
                    file.seek(size)
                    file.write(bytes(SIZE - size))
                os.fsync(fd)
        except OSError:
            self._remove()
        else:
            self._held = True

    def _spare(self) -> bool:
        try:
            disk = os.statvfs(self._path.parent)
        except OSError:
            return False
        # a file system without a limit of its own (tmpfs with size=0) says that it has no blocks
        room = not disk.f_blocks or disk.f_bavail * disk.f_frsize >= 2 * SIZE
        return room or self._path.exists()  # an earlier daemon has left it

    def give(self) -> bool:
        """Let go of it; whether there was anything."""
        held, self._held = self._held, False
        return self._remove() and held

    def _remove(self) -> bool:
        with contextlib.suppress(OSError):
            self._path.unlink()
            return True
        return False
