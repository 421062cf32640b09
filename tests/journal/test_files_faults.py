"""Each call to the disk fails once, and then it and all after it: nothing acknowledged is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest

from filepipe.errors import FilepipeError
from filepipe.journal.files import LogFiles
from filepipe.journal.frames import Damaged, Mark
from filepipe.journal.recovery import recover
from tests.journal.forgetful import (
    BIRTH,
    BROKEN,
    FULL,
    NAME,
    ForgetfulDisk,
    compared,
    content,
)

BEGUN = replace(BIRTH, begun=True)
MOST = 200
"""Calls that no story needs."""


@dataclass
class Story:
    """What was done, and what has to be there, whatever fails meanwhile."""

    folder: Path
    disk: ForgetfulDisk
    safe: list[bytes] = field(default_factory=list)
    loose: list[bytes] = field(default_factory=list)
    """Acknowledged, and lost perhaps when the power goes."""
    doubtful: bytes | None = None
    """Nobody was told that it is there, and it may be."""
    made: bool = False
    maybe_made: bool = False
    maybe_removed: bool = False
    removed: bool = False
    files: LogFiles | None = None

    def make(self, first: bytes = b"") -> None:
        """Make the log."""
        self.maybe_made, self.doubtful = True, first or None
        birth = BEGUN if first else BIRTH
        self.files = LogFiles.create(self.folder, birth, self.disk, first)
        self.made, self.doubtful = True, None
        self.safe += [first] if first else []

    def add(self, record: bytes, *, durable: bool = True, close: bool = False) -> None:
        """Add a record."""
        if self.files is None:
            return
        failed = len(self.disk.failed)
        mark = Mark("me", 0, len(self.safe) + len(self.loose))
        try:
            self.files.add([record[:2], record[2:]], durable=durable, close=close, marks=[mark])
        except FilepipeError:
            if any(call.startswith("flush") for call in self.disk.failed[failed:]):
                self.doubtful = record
            raise
        self.loose.append(record)
        if durable:
            self.safe, self.loose = [*self.safe, *self.loose], []

    def restart(self) -> None:
        """As after a crash of the process."""
        if self.files is not None:
            self.files.rest()
            self.files = None
            self.disk.forget()
            self.files = recover(self.folder, NAME, self.disk)
            assert self.files is not None
            if self.files.damage is None and self.files.size > len(
                b"".join(self.safe + self.loose)
            ):
                assert self.doubtful is not None
                self.loose.append(self.doubtful)
                self.doubtful = None

    def remove(self) -> None:
        """Remove the log."""
        if self.files is not None:
            self.maybe_removed = True
            self.files.remove()
            self.removed = True

    def check(self) -> None:
        """After another start, on a disk that works, all is there that has to be."""
        if self.files is not None:
            self.files.rest()
        assert not self.disk.open_now
        assert not self.disk.flushed_again
        self.disk.forget()
        self.disk.fail_at, self.disk.lasting = None, False
        files = recover(self.folder, NAME, self.disk)
        if files is None:
            assert self.maybe_removed or not self.made
            assert not list(self.folder.iterdir())
            return
        assert self.maybe_made
        assert not self.removed
        if files.damage is not None:  # no more than a removal that was cut twice
            assert self.maybe_removed
            return
        assert compared(files) is None
        known = self.safe + self.loose
        possible = [b"".join(known[:count]) for count in range(len(self.safe), len(known) + 1)]
        if self.doubtful is not None:
            possible.append(b"".join([*known, self.doubtful]))
        assert content(files) in possible
        files.rest()
        files.add([b"and on"])
        assert content(files).endswith(b"and on")
        files.rest()


def grow(story: Story) -> list[Callable[[], None]]:
    """Records of all sorts."""
    return [
        story.make,
        lambda: story.add(b"one"),
        lambda: story.add(b"two", durable=False),
        lambda: story.add(b"three", durable=False),
        lambda: story.add(b"four"),
        lambda: story.add(b"five", durable=False),
        lambda: story.add(b"six", close=True),
    ]


def go_on(story: Story) -> list[Callable[[], None]]:
    """A start between records, some of which were not safe."""
    return [
        lambda: story.make(b"zero"),
        lambda: story.add(b"one"),
        lambda: story.add(b"two", durable=False),
        story.restart,
        lambda: story.add(b"three"),
        story.restart,
    ]


def go(story: Story) -> list[Callable[[], None]]:
    """Made, and removed in the end."""
    return [
        lambda: story.make(b"zero"),
        lambda: story.add(b"one", durable=False),
        story.remove,
    ]


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("error", [BROKEN, FULL], ids=["broken", "full"])
@pytest.mark.parametrize("plot", [grow, go_on, go])
def test_every_call_fails(
    tmp_path: Path, plot: Callable[[Story], list[Callable[[], None]]], error: int, lasting: bool
) -> None:
    """Whatever was acknowledged by then is there after a crash, and after a power cut."""
    for number in range(1, MOST):
        for seed in (None, 1, 2, 3):
            folder = tmp_path / f"{number}-{seed}"
            folder.mkdir()
            disk = ForgetfulDisk()
            disk.fail_at, disk.lasting = (number, error), lasting
            story = Story(folder, disk)
            for step in plot(story):
                try:
                    step()
                except (FilepipeError, Damaged):
                    if not story.made:
                        break
            if seed is not None:
                if story.files is not None:
                    story.files.rest()
                disk.lose_power(Random(seed))
            story.check()
        if len(disk.calls) < number:
            return
    pytest.fail("the story has no end")
