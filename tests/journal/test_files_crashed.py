"""Files of a log over crashes: what was acknowledged is there, whole, once, in order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from filepipe.errors import FilepipeError, StorageFailed
from filepipe.journal.files import LogFiles
from filepipe.journal.frames import Mark
from tests.journal.forgetful import (
    BIRTH,
    BROKEN,
    FULL,
    ForgetfulDisk,
    compared,
    content,
    recovered,
)

CHUNKS = st.lists(st.binary(min_size=1, max_size=100), min_size=1, max_size=4)


class Crashes(RuleBasedStateMachine):
    """One writer, and whatever can happen to him."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.disk = ForgetfulDisk()
        self.files = LogFiles.create(self.folder, BIRTH, self.disk)
        self.safe: list[bytes] = []
        self.loose: list[bytes] = []
        self.doubtful = b""
        self.stuck = False

    def teardown(self) -> None:
        """Remove the folder."""
        self.files.rest()
        shutil.rmtree(self.folder)

    def add(self, chunks: list[bytes], *, durable: bool) -> bool:
        """Add a record; whether that was acknowledged."""
        record = b"".join(chunks)
        mark = Mark("me", 0, len(self.safe) + len(self.loose))
        try:
            self.files.add(chunks, durable=durable, marks=[mark])
        except FilepipeError:
            if not self.stuck:
                self.doubtful = record
            return False
        self.loose.append(record)
        if durable:
            self.safe += self.loose
            self.loose = []
        return True

    @rule(chunks=CHUNKS, durable=st.booleans())
    def add_record(self, chunks: list[bytes], durable: bool) -> None:
        """A record is acknowledged, unless the log is stuck."""
        assert self.add(chunks, durable=durable) is not self.stuck

    @precondition(lambda self: not self.stuck)
    @rule(
        chunks=CHUNKS,
        durable=st.booleans(),
        call=st.sampled_from(["write data", "write index", "flush data", "flush index"]),
        error=st.sampled_from([FULL, BROKEN]),
    )
    def fail(self, chunks: list[bytes], durable: bool, call: str, error: int) -> None:
        """The disk fails; a flush that failed is the end of it until the next start."""
        self.disk.fail = (call, error)
        added = self.add(chunks, durable=durable)
        assert added is (self.disk.fail is not None)
        self.disk.fail = None
        self.stuck = not added and call.startswith("flush")

    @rule(seed=st.integers(0, 2**32))
    def lose_power(self, seed: int) -> None:
        """What was acknowledged as durable is there, then a first part of the rest, all whole."""
        self.files.rest()
        self.disk.lose_power(Random(seed))
        self.recover(least=len(self.safe))

    @rule()
    def crash(self) -> None:
        """Of a process that is killed everything is there."""
        self.files.rest()
        self.recover(least=len(self.safe) + len(self.loose))

    def recover(self, least: int) -> None:
        """Start again: at least so many records are there, and no part of any."""
        self.files = recovered(self.folder, self.disk)
        assert self.files.damage is None
        records = self.safe + self.loose
        if self.stuck:  # nobody was told of this one, and it may be there
            records.append(self.doubtful)
        counts = {len(b"".join(records[:n])): n for n in range(least, len(records) + 1)}
        self.safe, self.loose, self.stuck = records[: counts[self.files.size]], [], False
        number = self.files.marks["me"].number if self.files.marks else -1
        assert number == len(self.safe) - 1
        assert compared(self.files) is None

    @invariant()
    def reads(self) -> None:
        """At any moment exactly what was acknowledged can be read."""
        assert content(self.files) == b"".join(self.safe + self.loose)


TestCrashes = Crashes.TestCase
TestCrashes.settings = settings(max_examples=40, stateful_step_count=20)


@pytest.mark.parametrize("call", ["flush data", "flush index"])
@pytest.mark.parametrize("size", [5, 200])
def test_the_power_goes_while_a_record_is_made_safe(tmp_path: Path, call: str, size: int) -> None:
    """The loose ones before it may be torn, it may be there or not: no such thing is damage."""
    whole = [b"safe", b"l" * size, b"L" * size, b"r" * size]
    ends = {len(b"".join(whole[:count])) for count in range(1, 5)}
    for seed in range(40):
        disk = ForgetfulDisk()
        folder = tmp_path / str(seed)
        folder.mkdir()
        files = LogFiles.create(folder, BIRTH, disk)
        for record in whole[:3]:
            files.add([record], durable=record == b"safe")
        disk.fail = (call, BROKEN)
        with pytest.raises(StorageFailed):
            files.add([whole[3]])
        files.rest()
        disk.lose_power(Random(seed))
        files = recovered(folder, disk)
        assert files.damage is None, seed
        assert files.size in ends
        assert content(files) == b"".join(whole)[: files.size]
        files.rest()


def test_the_power_goes_after_a_last_flush_failed(tmp_path: Path) -> None:
    """Nothing was taken back that its frame, which may be on the disk, speaks of."""
    for seed in range(200):
        disk = ForgetfulDisk()
        folder = tmp_path / str(seed)
        folder.mkdir()
        files = LogFiles.create(folder, BIRTH, disk)
        files.add([b"safe"])
        disk.fail = ("flush index", BROKEN)
        with pytest.raises(StorageFailed):
            files.add([b"more"])
        files.rest()
        disk.lose_power(Random(seed))
        files = recovered(folder, disk)
        assert files.damage is None
        assert content(files) in (b"safe", b"safemore")
        files.rest()


@pytest.mark.parametrize("call", ["flush data", "flush index"])
def test_a_start_does_not_find_what_may_not_be_on_the_disk(tmp_path: Path, call: str) -> None:
    """The kernel still has it, and would say that nothing is to be flushed."""
    disk = ForgetfulDisk()
    files = LogFiles.create(tmp_path, BIRTH, disk)
    files.add([b"safe"], marks=[Mark("me", 0, 0)])
    disk.fail = (call, BROKEN)
    with pytest.raises(StorageFailed):
        files.add([b"more"], marks=[Mark("me", 0, 1)])
    files.rest()
    files = recovered(tmp_path, disk)
    assert (content(files), files.marks["me"].number) == (b"safe", 0)
    files.rest()
