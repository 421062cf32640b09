"""Logs for tests: a disk whose calls can be held, and what several tests do."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from filepipe.channels.follower import Follower
from tests.journal.forgetful import ForgetfulDisk


class HeldDisk(ForgetfulDisk):
    """Counts flushes; while `held` is locked, a write to a data file waits."""

    def __init__(self) -> None:
        super().__init__()
        self.held = threading.Event()
        self.held.set()

    def write(self, fd: int, chunks: Sequence[bytes], offset: int) -> None:
        """Write once nobody holds it."""
        assert self.held.wait(10)
        super().write(fd, chunks, offset)

    def flushes(self) -> int:
        """How often it was waited for data to reach the disk."""
        return self.calls.count("flush data")


async def read_all(log, start=0):
    """What a look at the log shows."""
    data = b""
    with Follower(log, start) as follower:
        while follower.offset < log.size:
            data += await follower.read()
    return data
