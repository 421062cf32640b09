"""Where the bytes of one log are: beside its index, or below a root under their own name.

Everything here blocks and raises OSError.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from filepipe.journal.disk import Disk
from filepipe.journal.root import Root
from filepipe.storage.system_calls import flush_folder

TRIES = 100
"""How often a folder is made anew that somebody removes because it is empty."""


class Place(Protocol):
    """A file of bytes, which may not be there yet or any more."""

    def open(self, *, new: bool = False) -> int:
        """A descriptor of the file; a new one must not be there yet."""

    def stat(self) -> os.stat_result:
        """What the system says of the file."""

    def touch(self) -> None:
        """Let the file have been changed now."""

    def flush_name(self) -> None:
        """Return when the file can be found after a power cut."""

    def remove(self) -> None:
        """Remove the file, durably; one that is gone is fine."""


def is_there(place: Place) -> bool:
    """Whether a plain file has the name."""
    try:
        return stat.S_ISREG(place.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


class Beside:
    """The file at `path`, in the folder of the daemon."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk

    def open(self, *, new: bool = False) -> int:
        """A descriptor of the file; a new one must not be there yet."""
        return self._disk.open(self._path, new=new)

    def stat(self) -> os.stat_result:
        """What the system says of the file."""
        return os.lstat(self._path)

    def touch(self) -> None:
        """Let the file have been changed now."""
        os.utime(self._path)

    def flush_name(self) -> None:
        """Return when the file can be found after a power cut."""
        self._disk.flush_names(self._path.parent)

    def remove(self) -> None:
        """Remove the file, durably; one that is gone is fine."""
        self._disk.remove(self._path)
        self._disk.flush_names(self._path.parent)


class Named:
    """The file of a key below a root; one that is opened is a plain one."""

    def __init__(self, root: Root, key: str, disk: Disk) -> None:
        self._root = root
        *self._folders, self._name = key.split("/")
        self._disk = disk

    def open(self, *, new: bool = False) -> int:
        """A descriptor of the file; a new one must not be there yet."""
        if not new:
            return self._open_plain()
        try:
            return self._make()
        except OSError:
            self._root.prune(self._folders)
            raise

    def _make(self) -> int:
        for _ in range(TRIES):
            with suppress(FileNotFoundError):
                folder = self._root.enter(self._folders, make=True)
                try:
                    return self._disk.open(Path(self._name), new=True, folder=folder)
                finally:
                    os.close(folder)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def _open_plain(self) -> int:
        folder = self._root.enter(self._folders)
        try:
            fd = self._disk.open(Path(self._name), folder=folder)
        finally:
            os.close(folder)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        self._disk.close(fd)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))

    def stat(self) -> os.stat_result:
        """What the system says of the file."""
        folder = self._root.enter(self._folders)
        try:
            return os.stat(self._name, dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(folder)

    def touch(self) -> None:
        """Let the file have been changed now."""
        folder = self._root.enter(self._folders)
        try:
            os.utime(self._name, dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(folder)

    def flush_name(self) -> None:
        """Return when the file can be found after a power cut."""
        self._root.flush(self._folders)

    def remove(self) -> None:
        """Remove the file, durably, and folders that are empty then; one that is gone is fine."""
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            folder = self._root.enter(self._folders)
            try:
                self._disk.remove(Path(self._name), folder=folder)
                flush_folder(folder)
            finally:
                os.close(folder)
        self._root.prune(self._folders)
