"""Channels over the storages as the daemon stacks them, on an event loop and a clock of their own.

What happens to them says `test_ledger_of_channels.py`; what must hold all the time is said here.
"""

import asyncio
import os
import shutil
import tempfile

from hypothesis.stateful import RuleBasedStateMachine, invariant

from filepipe import service
from filepipe.accountant import Accountant
from filepipe.channels import channel, directory
from filepipe.channels.directory import Directory
from filepipe.channels.state import State
from filepipe.storage import spill, writebehind
from filepipe.storage.plugins import open_storage
from tests.channels.dutiful import Dutiful
from tests.channels.parties import Follower
from tests.clock import Clock
from tests.storage.test_ledger import Turns, recorded

# Everything is about a hundred times smaller than in earnest, so that few steps reach each limit.
THRESHOLD, BATCH, MAX_MEMORY, MAX_DISK, MAX_KEYS = 4000, 1000, 9000, 60_000, 3


def make_small(monkeypatch):
    """Shrink what the storages do at once, and restore at the end what each `World` replaces."""
    monkeypatch.setattr(channel, "time", channel.time)
    monkeypatch.setattr(directory, "time", directory.time)
    monkeypatch.setattr(service, "open_storage", service.open_storage)
    monkeypatch.setattr(writebehind, "BATCH", BATCH)
    monkeypatch.setattr(writebehind, "MERGED", 100)
    monkeypatch.setattr(spill, "COPIED", 1500)


class World(RuleBasedStateMachine):
    """Uploads, their followers and those who wait, beside what they should hold."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = channel.time = directory.time = Clock(self.loop)
        self.folder = tempfile.mkdtemp()
        self.budgets = Accountant.of(MAX_MEMORY, MAX_DISK)
        self.opened = []
        service.open_storage = self.open_watched
        spilling = service.Spilling(f"file:{self.folder}", THRESHOLD, MAX_MEMORY, MAX_DISK)
        stack = service.stack(spilling, self.budgets)
        self.memory, self.disk = self.opened
        self.disk.inner._pool.shutdown()
        self.disk.inner._pool = Turns(self.loop)
        self.windows = []
        recorded(stack.cold, self.windows)
        self.storage = Dutiful(stack)
        self.directory = Directory(MAX_KEYS)
        self.uploads, self.followers, self.waits = [], [], []
        self.count = 0

    def open_watched(self, url):
        self.opened.append(Dutiful(open_storage(url)))
        return self.opened[-1]

    def run(self, work):
        return self.loop.run_until_complete(work)

    def turn(self, count):
        """Let everything go on for so many turns, with the ledger right in each."""

        async def watch():
            for _ in range(count):
                self.memory_is_what_is_held()
                await asyncio.sleep(0)

        self.run(watch())

    def idle_uploads(self):
        return [upload for upload in self.uploads if upload.idle]

    def readable(self):
        return [upload for upload in self.uploads if self.visible(upload.channel)]

    def visible(self, one):
        return one.state in (State.WRITING, State.FINISHED) and not one.forgotten

    def open_followers(self):
        return [follower for follower in self.followers if follower.idle]

    def follow(self, one, start=0, stop=None):
        follower = Follower(self.upload_of(one), start, stop)
        self.followers.append(follower)
        return follower

    def upload_of(self, one):
        return next(upload for upload in self.uploads if upload.channel is one)

    def chunks(self, sizes):
        self.count += 1
        return [bytes([(self.count + index) % 251]) * size for index, size in enumerate(sizes)]

    def held_on_disk(self):
        return sum(max(blob.size, blob.expected) for blob in self.disk.held)

    @invariant()
    def memory_is_what_is_held(self):
        held = sum(blob.inner.size for blob in self.memory.held)
        held += sum(len(piece) for blob in self.windows for piece in blob._pieces)
        assert self.budgets.memory.used == held <= MAX_MEMORY

    @invariant()
    def disk_is_at_least_what_is_held(self):
        assert self.held_on_disk() <= self.budgets.disk.used <= MAX_DISK

    @invariant()
    def keys_are_free_or_in_use(self):
        assert set(self.directory) == {
            upload.channel for upload in self.uploads if not upload.channel.forgotten
        }
        for one in self.directory:
            assert one.state in (State.CLAIMED, State.WRITING, State.FINISHED)
        assert self.directory.waiting <= MAX_KEYS

    @invariant()
    def keys_go_in_time(self):
        """No key goes before its deadline, and a timer runs that is not too late."""
        for upload in self.uploads:
            one = upload.channel
            deadline = one.retention.deadline(one.usage())
            if not one.forgotten:
                assert deadline is None or self.directory._timers[one].deadline <= deadline
            elif one.failure is None and not upload.deleted:
                assert deadline is not None
                assert deadline <= self.clock.now

    @invariant()
    def nobody_fails(self):
        for task in [*self.waits, *(upload.task for upload in self.uploads), *self.reads()]:
            if task.done() and not task.cancelled():
                task.result()

    def reads(self):
        return [follower.task for follower in self.followers if follower.task is not None]

    @invariant()
    def bytes_are_held_while_somebody_needs_them(self):
        for upload in self.uploads:
            one = upload.channel
            if one.state is State.DISCARDED:
                assert one.forgotten
                assert not one.readers
            else:
                assert not one.forgotten or one.readers or one.writing

    async def end_everything(self):
        self.disk.failing = set()
        await asyncio.gather(*(follower.close() for follower in self.followers))
        closing = asyncio.ensure_future(self.directory.aclose())
        for task in [*self.waits, *(upload.task for upload in self.uploads)]:
            task.cancel()
        await closing
        for _ in range(100):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def teardown(self):
        try:
            self.run(self.end_everything())
            self.nobody_fails()
            assert (self.budgets.memory.used, self.budgets.disk.used) == (0, 0)
            for storage in (self.storage, self.memory, self.disk):
                assert set(storage.discards) <= {1}
            assert (len(self.directory), self.directory.waiting) == (0, 0)
            assert os.listdir(self.folder) == []
        finally:
            self.run(self.storage.aclose())
            self.run(self.loop.shutdown_default_executor())
            self.loop.close()
            shutil.rmtree(self.folder)
