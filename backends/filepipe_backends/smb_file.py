"""A file of a share that is opened again where the connection is lost, as long as that is safe.

Rule: what was written and not flushed when the connection was lost may have been lost with it, even
        where the server says later that all is well. Such a file is done with; whoever opens it
        anew counts on nothing but what was flushed.

All of this blocks and runs on threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from filepipe.errors import FilepipeError, NotFound, StorageAway, StorageFailed
from filepipe_backends import smb_errors as errors
from filepipe_backends.smb_errors import Refusal
from filepipe_backends.smb_link import Access, Link, Opened
from filepipe_backends.smb_share import Share, waiting

T = TypeVar("T")

GONE = "the object is gone"


class File:
    """The file at `path`, which is open on `link`; what it raises is of `smb_errors`."""

    def __init__(self, share: Share, path: str, access: Access, link: Link, opened: Opened) -> None:
        self.path = path
        self.size = opened.size
        """As it was when the file was opened first."""
        self._share = share
        self._access = access
        self._lock = threading.Lock()
        self._link: Link | None = link
        self._opened = opened
        self._number = link.number(opened)
        self._written = 0
        self._flushed = 0
        """How much of `_written` is on the server's disk for certain."""
        self._failure: FilepipeError | None = None

    def read(self, offset: int, limit: int) -> bytes:
        """Read something; b"" at the end."""
        return self.run(lambda link, opened: link.read(opened, offset, limit))

    def write(self, offset: int, data: memoryview) -> None:
        """Write all of it."""

        def write(link: Link, opened: Opened) -> None:
            link.write(opened, offset, data)
            with self._lock:
                self._written += 1
                if self._link is not link:
                    self._failure = _in_doubt()

        self.run(write)

    def flush(self) -> None:
        """Have all that was written on the server's disk."""
        self.run(self.flush_on)

    def flush_on(self, link: Link, opened: Opened) -> None:
        """Do that on a link."""
        with self._lock:
            written = self._written
        try:
            link.flush(opened)
        except Refusal:
            self.fail()
            raise
        with self._lock:
            if self._link is link:
                self._flushed = max(self._flushed, written)

    def fail(self) -> None:
        """From now on it is done with."""
        self._failure = StorageFailed("the storage failed: an earlier write may not be on the disk")

    def run(self, action: Callable[[Link, Opened], T]) -> T:
        """Do something with the open file, again where the connection is lost meanwhile."""
        return self._share.run(lambda link: action(link, self.on(link)))

    def on(self, link: Link) -> Opened:
        """The file as it is open on this link. Raises `StorageFailed` where it is done with."""
        with self._lock:
            if self._link is not None and self._link is not link:
                self._link = None
                if self._written != self._flushed:
                    self._failure = _in_doubt()
            if self._failure is not None:
                raise self._failure
            if self._link is None:
                self._opened = self._again(link)
                self._link = link
            return self._opened

    def _again(self, link: Link) -> Opened:
        try:
            opened = waiting(lambda: link.open(self.path, self._access))
        except Refusal as refusal:
            if refusal.status in errors.ABSENT:
                raise StorageFailed(f"the storage failed: {GONE}") from refusal
            raise
        if link.number(opened) != self._number:
            link.shut(opened)
            raise StorageFailed(f"the storage failed: {GONE}")
        return opened

    def moved(self, path: str) -> None:
        """It has another name now."""
        with self._lock:
            self.path = path

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            link, self._link = self._link, None
            self._failure = StorageFailed("the storage failed: the file is closed")
        if link is not None and link.alive:
            link.shut(self._opened)


def _in_doubt() -> StorageAway:
    return StorageAway("the storage is away: the connection was lost before all was on the disk")


def reading(share: Share, path: str, access: Access) -> File:
    """Open a file that is there. Raises `NotFound` where it is not."""

    def opened(link: Link) -> File:
        try:
            return File(share, path, access, link, waiting(lambda: link.open(path, access)))
        except Refusal as refusal:
            if refusal.status in errors.ABSENT or refusal.status in errors.NOT_TO_BE_HAD:
                raise NotFound(GONE) from refusal
            raise

    return share.run(opened)
