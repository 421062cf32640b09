"""What lives as long as the daemon: the ledger, the storages, the directory, the counters."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from filepipe.accountant import Accountant
from filepipe.channels.channel import Channel
from filepipe.channels.directory import LASTING, Directory
from filepipe.channels.logs import Logs
from filepipe.channels.meetings import Meetings
from filepipe.channels.queue import Queues
from filepipe.channels.upload_activity import UploadActivity
from filepipe.channels.window import Windows
from filepipe.storage.accounted import AccountedStorage
from filepipe.storage.interface import Storage
from filepipe.storage.plugins import open_storage
from filepipe.storage.spill import SpillStorage
from filepipe.storage.writebehind import WriteBehindStorage


@dataclass(slots=True)
class Statistics:
    """Counted since the start. Bytes are those of bodies, as they crossed the network."""

    started: float = field(default_factory=time.time)
    bytes_in: int = 0
    bytes_out: int = 0
    transfers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(direction, outcome): direction is in or out, outcome finished or broken."""
    responses: Counter[int] = field(default_factory=Counter)
    """HTTP answers by status."""
    webhooks: Counter[str] = field(default_factory=Counter)
    """Attempts to tell one, by outcome: delivered, failed, given_up."""
    loop_lag: float = 0.0
    """Seconds by which the event loop last woke too late."""
    loop_lag_worst: float = 0.0


@dataclass(frozen=True, slots=True)
class Spilling:
    """How the pipes' bytes are kept; sizes in bytes, None means unlimited."""

    storage: str
    """Where spilled bytes go, `scheme:location`."""
    threshold: int
    max_memory: int | None
    max_disk: int | None


class Service:
    """Everything that requests share; closed by `aclose`."""

    def __init__(self, spilling: Spilling, max_keys: int) -> None:
        self.accountant = Accountant.of(spilling.max_memory, spilling.max_disk)
        self.storage = stack(spilling, self.accountant)
        self.directory = Directory(max_keys)
        self.windows = Windows(self.accountant.memory)
        self.meetings = Meetings(self.directory)
        self.queues = Queues(
            max_keys, self.directory.waste, lambda key: self.directory.present(key) is not None
        )
        self.directory.elsewhere = self.queues.is_written
        self.logs = Logs(self.directory, self.accountant, max_keys)
        self.uploads = UploadActivity()
        self.statistics = Statistics()

    def channels(self) -> Iterator[Channel]:
        """Everything there is: pipes, uploads with a key, rendezvous, pairs at a queue, logs."""
        for channel in self.directory:
            if channel.kind in LASTING:
                yield channel
        yield from self.meetings
        yield from self.queues
        yield from self.logs

    def kinds(self) -> Counter[str]:
        """How many channels there are of each kind."""
        return Counter(channel.kind.value for channel in self.channels())

    def busy(self) -> int:
        """How many transfers a drain waits for."""
        channels = self.directory.busy() + self.meetings.busy() + self.queues.busy()
        return channels + self.logs.busy() + self.uploads.busy

    def drain(self) -> None:
        """Take nothing new; everybody who waits is told at once."""
        self.directory.drain()
        self.queues.drain()
        self.logs.drain()
        self.uploads.draining = True

    def cut(self) -> None:
        """End every transfer that is handed over live, and whoever appends."""
        self.meetings.cut()
        self.queues.cut()
        self.logs.cut()

    async def aclose(self) -> None:
        """Cut what still runs and let go of every byte, thread and descriptor."""
        self.cut()
        await self.directory.aclose()
        await self.logs.aclose()
        await self.storage.aclose()


def stack(spilling: Spilling, accountant: Accountant) -> Storage:
    """The storage of pipes: the one place where the wrappers are put around each other."""
    hot = AccountedStorage(open_storage("memory:"), accountant.memory)
    cold = AccountedStorage(open_storage(spilling.storage), accountant.disk, reserve=True)
    behind = WriteBehindStorage(cold, accountant.memory)
    return SpillStorage(hot, behind, spilling.threshold)


async def watch_loop_lag(statistics: Statistics, every: float = 1.0) -> None:
    """Measure until cancelled how late the event loop wakes; `every` in seconds."""
    loop = asyncio.get_running_loop()
    while True:
        before = loop.time()
        await asyncio.sleep(every)
        statistics.loop_lag = max(0.0, loop.time() - before - every)
        statistics.loop_lag_worst = max(statistics.loop_lag_worst, statistics.loop_lag)
