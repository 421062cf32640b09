"""The ledger equals what is held: a state machine over the storages as the daemon stacks them."""

import asyncio
import contextlib
import errno
import os
import shutil
import sys
import tempfile
from concurrent.futures import Future

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from filepipe.accountant import Accountant
from filepipe.errors import Unavailable
from filepipe.storage import spill, writebehind
from filepipe.storage.accounted import AccountedStorage
from filepipe.storage.spill import SpillStorage
from filepipe.storage.writebehind import WriteBehindStorage
from filepipe.testing import read_all
from filepipe_backends import file
from filepipe_backends.file import FileStorage
from filepipe_backends.memory import MemoryStorage

# Everything is about a hundred times smaller than in earnest, so that few steps reach each limit.
THRESHOLD, BATCH, WINDOW = 4000, 1000, 4000
MAX_MEMORY, MAX_DISK, MAX_BLOBS = 7000, 60_000, 12

SIZES = st.one_of(st.integers(0, 60), st.integers(100, 1500), st.integers(2500, 6000))
CHUNKS = st.lists(SIZES, min_size=1, max_size=3)
TURNS = st.integers(0, 12)


def recorded(storage, blobs):
    """Note each blob that `storage` makes, for the test to look into it."""
    create = storage.create

    async def create_recorded(expected=None):
        blob = await create(expected)
        blobs.append(blob)
        return blob

    storage.create = create_recorded
    return storage


class Turns:
    """A pool without threads: runs its calls in order, each two turns of the loop later.

    Every second call cannot be cancelled, as one that a thread has begun. So a run of the machine
    is the same each time, which threads are not.
    """

    def __init__(self, loop):
        self.loop = loop
        self.calls = []
        self.count = 0

    def submit(self, function, *args, **named):
        call = Future()
        self.count += 1
        if self.count % 2:
            call.set_running_or_notify_cancel()
        self.calls.append((call, function, args, named))
        self.loop.call_soon(self.loop.call_soon, self.step)
        return call

    def step(self):
        call, function, args, named = self.calls.pop(0)
        if not call.running() and not call.set_running_or_notify_cancel():
            return
        try:
            call.set_result(function(*args, **named))
        except OSError as error:
            call.set_exception(error)

    def shutdown(self):
        assert self.calls == []


class Disk:
    """What is really on the disk: the open files of this process in one folder."""

    def __init__(self):
        self.folder = tempfile.mkdtemp()
        self.full = False
        self.reserved = {}  # inode → expected size
        self.system_open, file._open = file._open, self.open
        self.system_write, file.write_all = file.write_all, self.write

    def remove(self):
        file._open, file.write_all = self.system_open, self.system_write
        shutil.rmtree(self.folder)

    def files(self):
        """Yield the status of each open file; one without a name is listed by /proc only."""
        for fd in os.listdir("/proc/self/fd"):
            try:
                path = os.readlink(f"/proc/self/fd/{fd}")
                if path.startswith(self.folder):
                    yield os.fstat(int(fd))
            except OSError:
                pass  # the descriptor of the listing itself, or one that was closed meanwhile

    def open(self, folder, expected):
        fd = self.system_open(folder, expected)
        self.reserved[os.fstat(fd).st_ino] = expected
        return fd

    def write(self, fd, views, offset):
        if not self.full:
            return self.system_write(fd, views, offset)
        half = b"".join(views)
        os.pwrite(fd, half[: len(half) // 2], offset)
        raise OSError(errno.ENOSPC, "no space")

    def held(self):
        return sum(max(self.reserved[f.st_ino], f.st_size) for f in self.files())


class Tracked:
    """A blob under test beside its model."""

    def __init__(self, blob):
        self.blob = blob
        self.model = b""
        self.finished = False


class Ledger(RuleBasedStateMachine):
    """Writers, readers, evictions, cancellations and full disks in any order."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.disk = Disk()
        self.blobs = []  # those with bytes in memory
        self.budgets = Accountant.of(MAX_MEMORY, MAX_DISK)
        files = FileStorage(self.disk.folder)
        files._pool.shutdown()
        files._pool = Turns(self.loop)
        paid = AccountedStorage(files, self.budgets.disk, reserve=True)
        cold = WriteBehindStorage(paid, self.budgets.memory, WINDOW)
        hot = AccountedStorage(recorded(MemoryStorage(""), self.blobs), self.budgets.memory)
        self.storage = SpillStorage(hot, recorded(cold, self.blobs), THRESHOLD)
        self.tracked = []
        self.count = 0
        self.loose = False  # a cancelled write is paid for and may not be there

    def run(self, work):
        return self.loop.run_until_complete(work)

    def chunks(self, sizes):
        self.count += 1
        return [bytes([(self.count + index) % 251]) * size for index, size in enumerate(sizes)]

    def writers(self):
        return [one for one in self.tracked if not one.finished]

    def pick(self, data, ones):
        return data.draw(st.sampled_from(ones))

    async def append(self, one, chunks):
        with contextlib.suppress(Unavailable):
            await one.blob.append(chunks)
            one.model += b"".join(chunks)

    async def check_content(self, one):
        assert await read_all(one.blob, 1700) == one.model

    async def watch(self, work):
        """Hold the memory budget against the truth in each turn of the loop, while `work` runs."""
        task = asyncio.ensure_future(work)
        while not task.done():
            self.memory_is_what_is_held()
            await asyncio.sleep(0)
        return await task

    @initialize(sizes=st.lists(st.integers(200, 3000), min_size=3, max_size=5))
    def begin(self, sizes):
        """Start with little memory left."""
        for size in sizes:
            self.put(size)

    @precondition(lambda self: len(self.tracked) < MAX_BLOBS)
    @rule(size=st.integers(1, 3000))
    def put(self, size):
        """Write a small body from its start to its end."""
        self.create(None)
        self.run(self.watch(self.append(self.tracked[-1], self.chunks([size]))))
        self.end(self.tracked[-1])

    @precondition(lambda self: len(self.tracked) < MAX_BLOBS)
    @rule(expected=st.one_of(st.none(), st.integers(0, 9000)))
    def create(self, expected):
        with contextlib.suppress(Unavailable):
            self.tracked.append(Tracked(self.run(self.storage.create(expected))))

    @precondition(lambda self: self.writers())
    @rule(data=st.data(), sizes=CHUNKS)
    def append_one(self, data, sizes):
        one = self.pick(data, self.writers())
        self.run(self.watch(self.append(one, self.chunks(sizes))))

    @precondition(lambda self: len(self.writers()) > 1)
    @rule(data=st.data())
    def append_to_all(self, data):
        """All writers at once, and a reader on each blob."""
        plans = [(one, self.chunks(data.draw(CHUNKS))) for one in self.writers()]

        async def both():
            writes = [self.append(one, chunks) for one, chunks in plans]
            reads = asyncio.gather(*(read_all(one.blob, 1500) for one in self.tracked))
            await asyncio.gather(*writes)
            for one, read in zip(self.tracked, await reads, strict=True):
                assert one.model.startswith(read)

        self.run(self.watch(both()))

    @precondition(lambda self: self.writers())
    @rule(data=st.data(), sizes=CHUNKS, turns=TURNS)
    def cancel_an_append(self, data, sizes, turns):
        one = self.pick(data, self.writers())
        chunks = self.chunks(sizes)

        async def cancel():
            task = asyncio.ensure_future(self.append(one, chunks))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            self.loose |= task.cancelled()

        self.run(self.watch(cancel()))

    @precondition(lambda self: self.writers())
    @rule(data=st.data(), size=st.integers(1, 3000))
    def write_as_the_kernel_does(self, data, size):
        one = self.pick(data, self.writers())
        try:
            fd = self.run(self.watch(one.blob.descriptor()))
        except Unavailable:
            return
        if fd < 0:
            return
        written = b"".join(self.chunks([size]))
        os.pwrite(fd, written, one.blob.size)
        try:
            one.blob.grow(size)
        except Unavailable:
            os.ftruncate(fd, one.blob.size)
        else:
            one.model += written

    @precondition(lambda self: self.writers())
    @rule(data=st.data())
    def finish(self, data):
        self.end(self.pick(data, self.writers()))

    def end(self, one):
        with contextlib.suppress(Unavailable):
            self.run(self.watch(one.blob.finish()))
        one.finished = True

    @precondition(lambda self: self.tracked)
    @rule(data=st.data())
    def read(self, data):
        self.run(self.check_content(self.pick(data, self.tracked)))

    @precondition(lambda self: self.tracked)
    @rule(data=st.data())
    def discard(self, data):
        one = self.pick(data, self.tracked)
        self.tracked.remove(one)
        self.run(self.watch(one.blob.discard()))

    @rule(full=st.sampled_from([False, False, True]))
    def fill_the_disk(self, full):
        self.disk.full = full

    @rule()
    def settle(self):
        """Let everything in the background come to its end."""

        async def wait_for_the_rest():
            while rest := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(rest)

        self.run(wait_for_the_rest())

    @invariant()
    def memory_is_what_is_held(self):
        held = sum(len(piece) for blob in self.blobs for piece in blob._pieces)
        held += sum(len(getattr(blob, "_tail", b"")) for blob in self.blobs)
        assert self.budgets.memory.used == held <= MAX_MEMORY

    @invariant()
    def disk_is_what_is_held(self):
        held = self.disk.held()
        assert held <= self.budgets.disk.used <= MAX_DISK
        if not self.loose and not asyncio.all_tasks(self.loop):
            assert self.budgets.disk.used == held

    @invariant()
    def sizes_are_the_models(self):
        for one in self.tracked:
            assert one.blob.size == len(one.model)

    def teardown(self):
        try:
            for one in self.tracked:
                self.run(self.check_content(one))
                self.run(one.blob.discard())
            self.settle()
            assert (self.budgets.memory.used, self.budgets.disk.used) == (0, 0)
            self.memory_is_what_is_held()
            assert list(self.disk.files()) == []
            assert os.listdir(self.disk.folder) == []
        finally:
            self.run(self.storage.aclose())
            self.run(self.loop.shutdown_default_executor())
            self.loop.close()
            self.disk.remove()


@pytest.mark.skipif(sys.platform != "linux", reason="open files are listed by /proc, on Linux only")
def test_the_ledger_is_what_is_held(monkeypatch):
    """Memory and disk budgets equal the bytes really held, and every blob equals its model."""
    monkeypatch.setattr(writebehind, "BATCH", BATCH)
    monkeypatch.setattr(writebehind, "MERGED", 100)
    monkeypatch.setattr(spill, "COPIED", 1500)
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        Ledger,
        settings=settings(max_examples=100, stateful_step_count=40, suppress_health_check=slow),
    )
