"""The two open files of one log, for all who use them at the same moment.

Rule: nobody's descriptor is closed while he uses it, or its number could mean another file by then.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filepipe.journal.disk import Disk
from filepipe.journal.places import Place


class Descriptors:
    """Opened when they are needed; every method may be called on any thread.

    They stay open from `stay` to `rest`; else whoever is the last to use them closes them.
    """

    def __init__(self, disk: Disk, data: Place, index: Path) -> None:
        self._disk = disk
        self._data = data
        self._index = index
        self._lock = threading.Lock()
        self._fds: tuple[int, int] | None = None
        self._users = 0
        self._staying = True

    def make(self, *, data: bool = True, index: bool = True) -> None:
        """Make the files, or one of them; what is made must not be there. Raises OSError."""
        with self._lock:
            self._fds = self._opened(data=data, index=index)

    def get(self) -> tuple[int, int]:
        """Those of data and index, valid until `rest`. Raises OSError."""
        with self._lock:
            return self._open()

    @contextmanager
    def used(self) -> Iterator[tuple[int, int]]:
        """The same, valid while inside."""
        with self._lock:
            fds = self._open()
            self._users += 1
        try:
            yield fds
        finally:
            with self._lock:
                self._users -= 1
                self._close()

    def stay(self) -> None:
        """Keep them open from now on."""
        with self._lock:
            self._staying = True

    def rest(self) -> None:
        """Close them as soon as nobody uses them."""
        with self._lock:
            self._staying = False
            self._close()

    def _open(self) -> tuple[int, int]:
        if self._fds is None:
            self._fds = self._opened(data=False, index=False)
        return self._fds

    def _opened(self, *, data: bool, index: bool) -> tuple[int, int]:
        first = self._data.open(new=data)
        try:
            return first, self._disk.open(self._index, new=index)
        except OSError:
            self._disk.close(first)
            if data:
                self._data.remove()
            raise

    def _close(self) -> None:
        if self._users or self._staying or self._fds is None:
            return
        fds, self._fds = self._fds, None
        for fd in fds:
            self._disk.close(fd)
