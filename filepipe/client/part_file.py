"""A file that is sent in parts: its bytes with their hash, and whether it is still the same."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from filepipe.client.blocking import BlockingThread
from filepipe.client.errors import SourceChanged
from filepipe.client.source import CHUNK


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file changes when its content does: bytes, and nanoseconds of its last change."""

    size: int
    modified: int


class Digest(Protocol):
    """What `hashlib` makes."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""


class PartFile:
    """An open regular file; raises OSError for anything else. Its methods may block briefly."""

    def __init__(self, path: Path) -> None:
        # A named pipe without a writer would block.
        self._handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._path = path
        try:
            self._refuse_all_but_files()
        except OSError:
            self.close()
            raise
        self.facts = self._look()

    def _refuse_all_but_files(self) -> None:
        facts = os.fstat(self._handle)
        if stat.S_ISDIR(facts.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self._path))
        # Files of /proc and the like claim 0 bytes and have some.
        if not stat.S_ISREG(facts.st_mode) or (facts.st_size == 0 and os.read(self._handle, 1)):
            raise OSError(errno.EINVAL, "is not a file whose parts can be read", str(self._path))

    def _look(self) -> Facts:
        facts = os.fstat(self._handle)
        return Facts(facts.st_size, facts.st_mtime_ns)

    def check(self) -> None:
        """Raise `SourceChanged` if it is not what it was when it was opened."""
        if self._look() != self.facts:
            raise SourceChanged(f"{self._path} changed while it was sent")

    def close(self) -> None:
        """Let go of it."""
        os.close(self._handle)

    async def read(
        self, offset: int, size: int, digest: Digest, thread: BlockingThread
    ) -> AsyncIterator[bytes]:
        """Yield `size` bytes from `offset`, which `digest` has taken; raises `SourceChanged`."""
        end = offset + size
        while offset < end:
            chunk = await thread.call(self._piece, offset, min(CHUNK, end - offset), digest)
            if not chunk:
                raise SourceChanged(f"{self._path} became shorter while it was sent")
            offset += len(chunk)
            yield chunk

    def _piece(self, offset: int, size: int, digest: Digest) -> bytes:
        chunk = os.pread(self._handle, size, offset)
        digest.update(chunk)
        return chunk
