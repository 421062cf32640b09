"""`FILE.part` and `FILE.part.json`: a download that is not whole yet, across runs.

Rule 1: the note (`.json`) never claims more bytes than the disk has confirmed, so that a power
        cut cannot leave a hole in the middle of a file that a later run finishes.
Rule 2: one run at a time owns the two; the lock is on the data file.
Rule 3: a file of another user, or a link, is not ours and is not touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from pathlib import Path
from typing import Any, Final

from filepipe.client.own_files import locked, own, sync_folder

# How much a power cut, or kill -9, may cost.
CHECKPOINT_BYTES: Final = 64 * 1024 * 1024
CHECKPOINT_SECONDS: Final = 5.0


class PartialFile:
    """The two files beside `path`; every method blocks."""

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self.size = 0
        self.etag: str | None = None
        self._url = url
        self._data = self._note = path
        self._handle = -1
        self._confirmed = 0
        self._checked = 0.0

    def open(self, resume: bool) -> None:
        """Lock the data file; with `resume`, keep the bytes that the note vouches for."""
        # A link stays a link: what it points to is replaced.
        self.path = Path(os.path.realpath(self.path))
        self._data = self.path.with_name(self.path.name + ".part")
        self._note = self.path.with_name(self.path.name + ".part.json")
        self._handle = locked(self._data, "another download is writing it")
        try:
            self._take_mode()
            if resume:
                self._load()
            os.ftruncate(self._handle, self.size)
            os.lseek(self._handle, self.size, os.SEEK_SET)
        except BaseException:
            self._close()
            raise

    def restart(self, etag: str | None) -> None:
        """Drop what is there and begin the object that `etag` names."""
        os.ftruncate(self._handle, 0)
        os.lseek(self._handle, 0, os.SEEK_SET)
        self.size, self.etag = 0, etag
        self._checkpoint()

    def append(self, chunk: bytes) -> None:
        """Write, and confirm when much or long was written since the last time."""
        view = memoryview(chunk)
        while view:
            count = os.write(self._handle, view)
            self.size += count
            view = view[count:]
        if self.etag is None:  # no later run can go on from here
            return
        much = self.size - self._confirmed >= CHECKPOINT_BYTES
        if much or time.monotonic() - self._checked >= CHECKPOINT_SECONDS:
            self._checkpoint()

    def publish(self) -> Path:
        """Give the whole file its name, durably."""
        self._sync()
        os.replace(self._data, self.path)
        self._note.unlink(missing_ok=True)
        sync_folder(self.path.parent)
        self._close()
        return self.path

    def keep(self) -> Path | None:
        """Close and leave both for a later run, if they are of use to one."""
        if self._handle < 0:
            return None
        if not self.size or self.etag is None:
            self.discard()
            return None
        # On a full disk the last checkpoint stands; after a failed fsync nothing does.
        with contextlib.suppress(OSError):
            self._checkpoint()
        if self._handle < 0:
            return None
        self._close()
        return self._data

    def discard(self) -> None:
        """Close and remove both."""
        if self._handle >= 0:
            self._note.unlink(missing_ok=True)
            self._data.unlink(missing_ok=True)
            self._close()

    def _take_mode(self) -> None:
        try:
            facts = self.path.stat()
        except FileNotFoundError:
            return
        os.fchmod(self._handle, stat.S_IMODE(facts.st_mode) & 0o777)

    def _load(self) -> None:
        note = self._read_note()
        etag, size = note.get("etag"), note.get("size")
        if note.get("url") != self._url or not isinstance(etag, str) or not isinstance(size, int):
            return
        if 0 < size <= os.fstat(self._handle).st_size:
            self.etag, self.size, self._confirmed = etag, size, size

    def _read_note(self) -> dict[str, Any]:
        try:
            handle = own(self._note, os.O_RDONLY)
        except FileNotFoundError:
            return {}
        with os.fdopen(handle, encoding="utf-8") as stream:
            try:
                note = json.load(stream)
            except ValueError:
                return {}
        return note if isinstance(note, dict) else {}

    def _sync(self) -> None:
        try:
            os.fsync(self._handle)
        except OSError:
            # The kernel may have dropped the pages and would say yes to a second try.
            self.discard()
            raise

    def _checkpoint(self) -> None:
        self._sync()
        note = {"url": self._url, "etag": self.etag, "size": self.size}
        handle = own(self._note, os.O_WRONLY | os.O_CREAT)
        try:
            # Written over, not anew: that needs no room on a full disk.
            os.ftruncate(handle, os.pwrite(handle, json.dumps(note).encode(), 0))
            os.fsync(handle)
        finally:
            os.close(handle)
        self._confirmed, self._checked = self.size, time.monotonic()

    def _close(self) -> None:
        os.close(self._handle)
        self._handle = -1
