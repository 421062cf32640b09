"""The two files of one log: `NAME.data`, which is exactly its bytes, and `NAME.index`, its frames.

Of a log that is named the first one is elsewhere: below a root, under its key.

Everything here blocks. One thread at a time may `add`; `read` may run beside it.

Rule 1: data, flush, index, flush; only then it is acknowledged. `durable=False` leaves out both
        flushes, and the next durable one makes up for it before it writes its own frame.
Rule 2: a write that failed is taken back. A flush that failed is never tried again, since a kernel
        may forget what it could not write: the log takes nothing more until the next start.
Rule 3: making: data, index, both flushed, then their names. Removing: a frame that says so,
        flushed, then the data, then the index. So whatever a crash leaves can be told apart.
Rule 4: below a root others may write, too. What they left behind our last byte is put aside before
        it is cut off, and nothing is added to a file that is not as we left it.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from zlib import crc32

from filepipe.errors import FilepipeError, StorageFailed
from filepipe.journal.checking import Check
from filepipe.journal.descriptors import Descriptors
from filepipe.journal.disk import Disk
from filepipe.journal.frames import (
    Birth,
    Damaged,
    Flag,
    Frame,
    Mark,
    write_birth,
    write_frame,
)
from filepipe.journal.places import Beside, Named, Place
from filepipe.journal.root import Root, refused
from filepipe.storage.system_calls import translated

DATA, INDEX, ASIDE = ".data", ".index", ".aside"

AWAY = "its bytes are below httpfstream_root, which is not set"


def name_of(key: str) -> str:
    """What the files of a key are called, without their endings."""
    return hashlib.sha256(key.encode()).hexdigest()


class LogFiles:
    """Made by `create`, or found again by `recovery`; `size` bytes were acknowledged."""

    def __init__(self, folder: Path, birth: Birth, disk: Disk, root: Root | None = None) -> None:
        self.birth = birth
        self.size = 0
        self.closed = False
        self.marks: dict[str, Mark] = {}
        self.order: str | None = None
        """The last place in the order of its writers that was given."""
        self.damage: str | None = None
        """What was found that is not as it was written; such a log is not served."""
        self.aside: str | None = None
        """What became of bytes behind its end at its recovery, as a sentence."""
        self._folder = folder
        name = name_of(birth.key)
        self._away = birth.named and root is None
        """Nobody knows where its bytes are."""
        self._data: Place = Beside(folder / (name + DATA), disk)
        if birth.named and root is not None:
            self._data = Named(root, birth.key, disk)
        self._index = folder / (name + INDEX)
        self._disk = disk
        self._index_size = 0
        self._loose = False
        self._failed = False
        self._descriptors = Descriptors(disk, self._data, self._index)
        self._check = Check()

    def last_added(self) -> float:
        """When bytes were last added, in seconds of the wall clock. Raises `StorageFailed`."""
        try:
            return self._data.stat().st_mtime
        except OSError as error:
            raise translated(error) from error

    def touch(self) -> None:
        """Let what lives for a while after its last use begin that anew. Raises `StorageFailed`."""
        try:
            self._data.touch()
        except OSError as error:
            raise translated(error) from error

    # -- making

    @classmethod
    def create(
        cls,
        folder: Path,
        birth: Birth,
        disk: Disk,
        first: bytes = b"",
        *,
        close: bool = False,
        root: Root | None = None,
    ) -> LogFiles:
        """Make the files of a log, durably: an empty one, or one that begins with `first`.

        Of one that is to be adopted the bytes are there; then only its index is made, and not
        durably. Raises `DiskFull` or `StorageFailed`; below a root `BadKey` and `Conflict`, too.
        """
        files = cls(folder, birth, disk, root)
        if files._index.exists():
            raise StorageFailed("the storage failed: what is left of another log is there")
        try:
            if birth.named and not birth.adopted:
                files._announce()
            files._make()
            if birth.begun:
                files._begin(first, close=close)
        except OSError as error:
            raise (refused if birth.named else translated)(error) from error
        return files

    def _announce(self) -> None:
        """Say what is made, or a crash might leave a file that becomes a log of others."""
        index = self._disk.open(self._index, new=True)
        try:
            self._say_birth(index)
        except OSError:
            self._disk.remove(self._index)
            raise
        finally:
            self._disk.close(index)
        self._disk.flush_names(self._folder)

    def _say_birth(self, index: int) -> None:
        first = write_birth(self.birth)
        self._disk.write(index, [first], 0)
        self._index_size = len(first)
        self._disk.flush(index)

    def _make(self) -> None:
        announced = self._index_size > 0
        try:
            self._descriptors.make(data=not self.birth.adopted, index=not announced)
        except OSError:
            if announced:
                self._disk.remove(self._index)
            raise
        try:
            with self._descriptors.used() as (data, index):
                if self.birth.adopted:
                    self._adopt(data, index)
                    return
                self._disk.flush(data)
                if not announced:
                    self._say_birth(index)
            self._data.flush_name()
        except OSError:
            self._undo()
            raise

    def _adopt(self, data: int, index: int) -> None:
        """Say that the bytes that are there are those of the log; a restart may say so anew."""
        found = os.fstat(data)
        if found.st_nlink > 1:  # a second name may be anywhere, and somebody's
            raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))
        frame = Frame(0, found.st_size, 0, Flag.ADOPTED | Flag.LOOSE)
        first = write_birth(self.birth) + write_frame(frame)
        self._disk.write(index, [first], 0)
        self._index_size = len(first)
        self._loose = True
        self._know(frame)

    def _undo(self) -> None:
        self.rest()
        with suppress(OSError):
            if not self.birth.adopted:
                self._data.remove()
        with suppress(OSError):
            self._disk.remove(self._index)

    def _begin(self, first: bytes, *, close: bool) -> None:
        try:
            self.add([first], close=close)
        except FilepipeError:
            try:
                self.remove()
            finally:
                self.rest()
            raise

    # -- adding

    def add(
        self,
        chunks: Sequence[bytes],
        *,
        close: bool = False,
        durable: bool = True,
        marks: Sequence[Mark] = (),
        order: str | None = None,
    ) -> None:
        """Add the chunks at the end as one frame; all of them are there then, or none.

        Raises `DiskFull`, `TooManyFiles` or `StorageFailed`.
        """
        if self._failed or self.damage:
            raise StorageFailed("the storage failed: an earlier write did not reach the disk")
        crc = 0
        for chunk in chunks:
            crc = crc32(chunk, crc)
        size = sum(map(len, chunks))
        flags = (Flag.CLOSED if close else Flag(0)) | (Flag(0) if durable else Flag.LOOSE)
        frame = Frame(self.size, size, crc, flags, tuple(marks), order)
        self._put(chunks, frame, durable=durable)
        self._know(frame)
        self._loose = not durable

    def _put(self, chunks: Sequence[bytes], frame: Frame, *, durable: bool) -> None:
        record = write_frame(frame)
        self._descriptors.stay()
        try:
            with self._descriptors.used() as (data, index), self._taken_back(data, index):
                self._look(data)
                self._disk.write(data, chunks, self.size)
                if durable:
                    self._flush(data)
                    if self._loose:
                        self._flush(index)  # else this frame might be there, those before it not
                self._disk.write(index, [record], self._index_size)
                if durable:
                    self._flush(index)
        except OSError as error:
            raise translated(error) from error
        self._index_size += len(record)

    def _look(self, data: int) -> None:
        """Raise `StorageFailed` where somebody else changed the file."""
        if self.birth.named:
            found = os.fstat(data)
            if found.st_size != self.size or not found.st_nlink:
                raise StorageFailed("the storage failed: somebody else changed the file of the log")

    def _flush(self, fd: int) -> None:
        try:
            self._disk.flush(fd)
        except OSError:
            self._failed = True
            raise

    @contextmanager
    def _taken_back(self, data: int, index: int) -> Iterator[None]:
        """What is written while inside, if that fails."""
        try:
            yield
        except OSError:
            try:
                # also after a flush that failed: a start that found this frame in the kernel's
                # memory would take it for one that is on the disk
                self._disk.cut(index, self._index_size)
                if not self._failed:
                    self._disk.cut(data, self.size)
            except OSError:
                self._failed = True
            raise

    # -- reading

    def read(self, offset: int, limit: int) -> bytes:
        """Between 1 and `limit` bytes that were acknowledged. Raises `StorageFailed`."""
        limit = min(limit, self.size - offset)
        try:
            with self._descriptors.used() as (data, _):
                found = self._disk.read(data, limit, offset)
        except OSError as error:
            raise translated(error) from error
        if not found:
            raise StorageFailed("the storage failed: a log is shorter than what was written to it")
        return found

    def descriptor(self) -> int:
        """The open data file, valid until `rest`. Raises `TooManyFiles` or `StorageFailed`."""
        try:
            return self._descriptors.get()[0]
        except OSError as error:
            raise translated(error) from error

    def stay(self) -> None:
        """Keep the descriptors for somebody who comes again and again, until `rest`."""
        self._descriptors.stay()

    def rest(self) -> None:
        """Let go of the descriptors until somebody needs them again."""
        self._descriptors.rest()

    # -- removing

    def remove(self) -> None:
        """Remove the log, durably; who reads it may go on with what is open. Raises as `add`."""
        if self._away:
            raise StorageFailed(f"the storage failed: {AWAY}")
        try:
            end, self._index_size = self._index_size, 0
            # of a damaged one nobody knows where its index ends
            if end and not self._failed:
                self._say_farewell(end)
            self._data.remove()
            if self.birth.named:
                for path in self._folder.glob(f"{self._index.stem}.*{ASIDE}"):
                    self._disk.remove(path)
            self._disk.remove(self._index)
            self._disk.flush_names(self._folder)
        except OSError as error:
            raise translated(error) from error

    def _say_farewell(self, end: int) -> None:
        farewell = Frame(self.size, 0, 0, Flag.DELETED)
        index = self._disk.open(self._index)  # alone: the bytes may be gone already
        try:
            self._disk.flush(index)
            self._disk.write(index, [write_frame(farewell)], end)
            self._disk.flush(index)
        finally:
            self._disk.close(index)

    # -- what was found

    def _learn(self, frame: Frame, position: int) -> None:
        """Know what a frame says that is found at `position` of the index."""
        self._check.note(frame.offset, position)
        self._know(frame)

    def _know(self, frame: Frame) -> None:
        self.size = frame.offset + frame.size
        for mark in frame.marks:
            self.marks[mark.producer] = mark
        if frame.flags:
            self.closed = self.closed or bool(frame.flags & Flag.CLOSED)
        if frame.order is not None:
            self.order = frame.order

    def is_proven(self, start: int, stop: int) -> bool:
        """Whether the bytes `[start, stop)` were written by us, or compared since the start."""
        return self._check.is_proven(start, stop)

    def prove(self, start: int, stop: int) -> None:
        """Compare a stretch of what was found there at the start; finds the `damage`.

        May run beside `add`. Raises `StorageFailed`.
        """
        if self.damage is not None:
            return
        try:
            # the descriptors of others may be closed meanwhile, and the data be removed
            with self._descriptors.used() as (data, index):
                read = self._disk.read
                self._check.go_on(
                    start, stop, functools.partial(read, data), functools.partial(read, index)
                )
        except Damaged as damage:
            self.damage = str(damage)
        except OSError as error:
            raise translated(error) from error
