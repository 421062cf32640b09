"""Writes lines to a pipe or socket whose reader may be slow or asleep, and never waits for long.

Rule 1: only whole lines are written; those for which there is no room are dropped, and counted.
Rule 2: a reader that falls behind is waited for, `PATIENCE` seconds; then not at all until it
        reads again.
"""

from __future__ import annotations

import os
import select
import threading
from typing import Final

PATIENCE: Final = 0.1
"""Seconds in which a reader that lives has made room."""


class Outlet:
    """One descriptor, which stays its owner's."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._lock = threading.Lock()
        self._begun = b""
        self._dropped = 0
        self._stuck = False

    def write(self, lines: bytes) -> int:
        """Write whole lines; returns how many were dropped before them, once that is over.

        Raises `OSError` when nobody will read any more.
        """
        with self._lock:
            self._write(self._begun + lines)
            dropped = 0
            if not self._stuck:
                dropped, self._dropped = self._dropped, 0
            return dropped

    def _write(self, data: bytes) -> None:
        done = 0
        while done < len(data) and self._has_room():
            # no more than this can be written without blocking, see poll(2) and pipe(7)
            done += os.write(self._fd, data[done : done + select.PIPE_BUF])
        inside = data[done - 1] != ord("\n") if done else bool(self._begun)
        end = data.find(b"\n", done) + 1 if inside else done
        self._begun = data[done:end]  # of a line that has begun the rest comes first next time
        self._dropped += data.count(b"\n", end)

    def _has_room(self) -> bool:
        self._stuck = not self._poll.poll(0 if self._stuck else PATIENCE * 1000)
        return not self._stuck
