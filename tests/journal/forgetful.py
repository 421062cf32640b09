"""A disk that forgets, when the power goes, what was not flushed: in part, and in any order."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

from filepipe.journal.disk import Disk
from filepipe.journal.files import LogFiles, name_of
from filepipe.journal.frames import Birth
from filepipe.journal.recovery import recover

PIECE = 16
"""Bytes that are on the disk whole or not at all."""


class ForgetfulDisk(Disk):
    """Works on real files, and knows of each what is safe.

    `fail` names the call that fails next, with its error. `fail_at` is the number of a call that
    fails, whichever it is, and with `lasting` all that follow do.
    """

    def __init__(self) -> None:
        self._paths: dict[int, Path] = {}
        self._safe: dict[Path, bytes] = {}
        self._unsafe: dict[Path, list[tuple[int, bytes | None]]] = {}
        self.fail: tuple[str, int] | None = None
        self.fail_at: tuple[int, int] | None = None
        self.lasting = False
        self.flushed_again: list[Path] = []
        """What was flushed although a flush of it had failed since the last start."""
        self._lost: set[Path] = set()
        self.calls: list[str] = []
        self.failed: list[str] = []
        self.open_now: set[int] = set()

    def open(self, path: Path, *, new: bool = False, folder: int | None = None) -> int:
        """Remember whose descriptor it is."""
        self._meet(f"open {_kind(path)}")
        fd = super().open(path, new=new, folder=folder)
        path = _below(folder, path)
        self.open_now.add(fd)
        self._paths[fd] = path
        self._safe.setdefault(path, path.read_bytes())  # others wrote it before
        self._unsafe.setdefault(path, [])
        return fd

    def close(self, fd: int) -> None:
        """Remember that it is gone."""
        self.open_now.remove(fd)
        super().close(fd)

    def read(self, fd: int, limit: int, offset: int) -> bytes:
        """Read, or fail."""
        self._meet(f"read {_kind(self._paths[fd])}")
        return super().read(fd, limit, offset)

    def write(self, fd: int, chunks: Sequence[bytes], offset: int) -> None:
        """Write, or fail half-way."""
        data = b"".join(chunks)
        path = self._paths[fd]
        kind = _kind(path)
        failing = self._failing(f"write {kind}")
        if failing:
            data = data[: len(data) // 2]
        super().write(fd, [data], offset)
        self._unsafe[path].append((offset, data))
        if failing:
            raise failing

    def cut(self, fd: int, size: int) -> None:
        """Cut, safe with the next flush."""
        self._meet(f"cut {_kind(self._paths[fd])}")
        super().cut(fd, size)
        self._unsafe[self._paths[fd]].append((size, None))

    def flush(self, fd: int) -> None:
        """Make safe what is in the file now."""
        path = self._paths[fd]
        if path in self._lost:
            self.flushed_again.append(path)
        if failing := self._failing(f"flush {_kind(path)}"):
            self._lost.add(path)
            raise failing
        self._safe[path] = path.read_bytes()
        self._unsafe[path] = []

    def remove(self, path: Path, *, folder: int | None = None) -> None:
        """Names are as safe as if the folder was flushed at once."""
        self._meet("remove")
        super().remove(path, folder=folder)
        path = _below(folder, path)
        self._lost.discard(path)
        self._safe.pop(path, None)
        self._unsafe.pop(path, None)

    def flush_names(self, folder: Path) -> None:
        """Names are safe, but this may fail."""
        self._meet("flush names")

    def forget(self) -> None:
        """Whoever starts knows nothing of what failed."""
        self._lost.clear()

    def _meet(self, call: str) -> None:
        if failing := self._failing(call):
            raise failing

    def _failing(self, call: str) -> OSError | None:
        self.calls.append(call)
        code = None
        if self.fail is not None and self.fail[0] == call:
            code, self.fail = self.fail[1], None
        elif self.fail_at is not None:
            number, error = self.fail_at
            if len(self.calls) == number or (self.lasting and len(self.calls) > number):
                code = error
        if code is None:
            return None
        self.failed.append(call)
        return OSError(code, os.strerror(code))

    def lose_power(self, random: Random) -> None:
        """Leave of what was not flushed some pieces, here and there."""
        for path, content in self._safe.items():
            left = bytearray(content)
            for offset, data in self._unsafe[path]:
                if data is None:
                    if random.random() < 0.5:
                        del left[offset:]
                    continue
                for start in range(0, len(data), PIECE):
                    if random.random() < 0.5:
                        _put(left, offset + start, data[start : start + PIECE])
            path.write_bytes(left)
            self._safe[path], self._unsafe[path] = bytes(left), []


def _below(folder: int | None, path: Path) -> Path:
    return path if folder is None else Path(os.readlink(f"/proc/self/fd/{folder}")) / path


def _kind(path: Path) -> str:
    return "index" if path.suffix == ".index" else "data"


def _put(content: bytearray, offset: int, piece: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(piece)] = piece


FULL = errno.ENOSPC
BROKEN = errno.EIO

BIRTH = Birth("a/key", "text/plain", None, "tag")
NAME = name_of(BIRTH.key)


def recovered(folder: Path, disk: Disk) -> LogFiles:
    """The log of that birth after a crash."""
    files = recover(folder, NAME, disk)
    assert files is not None
    return files


def content(files: LogFiles) -> bytes:
    """Every byte that can be read."""
    data = b""
    while len(data) < files.size:
        data += files.read(len(data), 7000)
    return data


def compared(files: LogFiles) -> str | None:
    """Compare all that was found at the start; the damage."""
    while files.damage is None and not files.is_proven(0, files.size):
        files.prove(0, files.size)
    return files.damage
