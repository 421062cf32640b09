"""A log as a crash has left it: what was acknowledged is found again, its torn end cut off.

Everything here blocks.
"""

from __future__ import annotations

import functools
import itertools
import os
import time
from pathlib import Path

from filepipe.errors import FilepipeError
from filepipe.journal.checking import holds
from filepipe.journal.disk import Disk
from filepipe.journal.files import ASIDE, AWAY, DATA, INDEX, LogFiles, name_of
from filepipe.journal.frames import Damaged, Flag, Frame, read_birth, read_frames
from filepipe.journal.places import is_there
from filepipe.journal.root import Root
from filepipe.storage.system_calls import translated


def recover(folder: Path, name: str, disk: Disk, root: Root | None = None) -> LogFiles | None:
    """The log as it was acknowledged, its torn end cut off, or with its `damage`.

    None where there is none: a crash came between its making, or its removing. Raises
    `Damaged` where not even the key is known, and `StorageFailed`.
    """
    try:
        index = folder / (name + INDEX)
        content = _content(disk, index) if index.exists() else b""
        found = read_birth(content)
        if found is None:
            _clear_unborn(disk, folder, name)
            return None
        if name_of(found[0].key) != name:
            raise Damaged("its index is that of another log")
        files = _Found(folder, found[0], disk, root)
        try:
            there = files.recover(content, found[1])
        except (Damaged, OSError, FilepipeError) as why:
            error = translated(why) if isinstance(why, OSError) else why
            files.damage = str(error)
            return files
        finally:
            files.rest()
    except OSError as error:
        raise translated(error) from error
    return files if there else None


class _Found(LogFiles):
    """Files that were there at the start."""

    def recover(self, content: bytes, start: int) -> bool:
        """Know what the index says, whose first frame ends at `start`; whether there is a log.

        Raises `Damaged`, OSError, and as `remove`.
        """
        if self._away:
            raise Damaged(AWAY)
        position = self._walk(content, start)
        if position is None or (self.birth.begun and position == start):
            self.remove()
            return False
        if self._is_nothing_yet(content, start):
            self._disk.remove(self._index)
            return False
        if not is_there(self._data):
            raise Damaged("its bytes are missing")
        data, index = self._descriptors.get()
        there = os.fstat(data).st_size
        if there < self.size:
            raise Damaged(f"of its {self.size} bytes only {there} are there")
        read = functools.partial(self._disk.read, data)
        for frame, end in read_frames(content, position, self.size):
            if frame.end > there or not holds(read, frame):
                break
            self._learn(frame, position)
            position = end
        if position < len(content):
            self._disk.cut(index, position)
        if self.size < there:
            self._put_aside(data, there)
            self._disk.cut(data, self.size)
        # after a crash of ours alone, what is there need not be on the disk
        self._disk.flush(data)
        self._disk.flush(index)
        self._index_size = position
        self._check.end(self.size, position)
        return True

    def _is_nothing_yet(self, content: bytes, start: int) -> bool:
        """Whether its file is still that of others, or was never made."""
        frames = len(list(itertools.islice(read_frames(content, start), 2)))
        if self.birth.adopted:
            return frames < 2
        return self.birth.named and not frames and not is_there(self._data)

    def _put_aside(self, data: int, end: int) -> None:
        """Keep what is behind the last byte, where others may have put it."""
        if self.birth.named:
            aside = self._index.with_suffix(f".{time.time_ns()}{ASIDE}")
            self._disk.copy(data, self.size, end, aside)
            self._disk.flush_names(self._folder)
            self.aside = f"{end - self.size} bytes behind its end were moved to {aside.name}"

    def _walk(self, content: bytes, start: int) -> int | None:
        """Learn what is firm; where that ends, None if the log was being removed."""
        position = begin = start
        loose: list[tuple[Frame, int]] = []
        for frame, end in read_frames(content, start):
            if not frame.flags and not loose:  # as nearly all are
                self._learn(frame, begin)
                position = begin = end
                continue
            if frame.flags & Flag.DELETED:
                return None
            loose.append((frame, begin))
            begin = end
            if not frame.flags & Flag.LOOSE:
                for known in loose:
                    self._learn(*known)
                position, loose = end, []
        return position


def _clear_unborn(disk: Disk, folder: Path, name: str) -> None:
    """Remove what a crash left of a log that was being made. Raises `Damaged` if it was not."""
    data = folder / (name + DATA)
    if data.exists() and data.stat().st_size:
        raise Damaged("its index is damaged at byte 0")
    disk.remove(data)
    disk.remove(folder / (name + INDEX))
    disk.flush_names(folder)


def _content(disk: Disk, path: Path) -> bytes:
    fd = disk.open(path)
    try:
        size, blocks, offset = os.fstat(fd).st_size, [], 0
        while offset < size and (block := disk.read(fd, size - offset, offset)):
            blocks.append(block)
            offset += len(block)
        return b"".join(blocks)
    finally:
        disk.close(fd)
