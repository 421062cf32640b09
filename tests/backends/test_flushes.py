"""To the disk: together where many ask, and never again after a failure."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from filepipe.errors import DiskFull, FilepipeError, StorageFailed
from filepipe.storage import system_calls
from filepipe.storage.interface import Draft, Shelf
from filepipe.testing import opened
from filepipe_backends.flushes import Flushes
from tests.backends.conftest import Failing


@pytest.fixture
async def draft(make: Callable[[], Shelf]) -> AsyncIterator[Draft]:
    """Begin a draft of ten bytes."""
    async with opened(make) as shelf:
        draft = await shelf.begin("draft", 10)
        yield draft
        await draft.discard()


class Gate:
    """An `os.fdatasync` that notes its calls and waits in the first until `go` is set."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.real = os.fdatasync
        self.calls = 0
        self.running = 0
        self.entered = threading.Event()
        self.go = threading.Event()
        patch.setattr(os, "fdatasync", self)

    def __call__(self, fd: int) -> None:
        self.calls += 1
        self.running += 1
        self.entered.set()
        assert self.go.wait(30)
        self.real(fd)
        self.running -= 1

    async def reached(self) -> None:
        await asyncio.to_thread(self.entered.wait, 30)


async def test_who_comes_while_one_runs_shares_the_next(
    draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty that come during the first flush are served by one more, and not by the first."""
    gate = Gate(monkeypatch)
    first = asyncio.create_task(draft.sync())
    await gate.reached()
    await draft.write(0, b"later")
    others = [asyncio.create_task(draft.sync()) for _ in range(50)]
    await asyncio.sleep(0)
    gate.go.set()
    await first
    assert not any(other.done() for other in others)
    await asyncio.gather(*others)
    assert gate.calls == 2


async def test_who_leaves_stops_nobody(draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that is cancelled takes neither the running flush nor the next one along."""
    gate = Gate(monkeypatch)
    syncs = [asyncio.create_task(draft.sync())]
    await gate.reached()
    syncs += [asyncio.create_task(draft.sync()) for _ in range(3)]
    await asyncio.sleep(0)
    syncs[0].cancel()
    syncs[1].cancel()
    gate.go.set()
    await asyncio.wait(syncs)
    assert [sync.cancelled() for sync in syncs] == [True, True, False, False]
    assert gate.calls == 2


async def test_the_file_stays_open_under_a_flush(
    make: Callable[[], Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A draft whose callers all left closes when its flush is over, and begins no other."""
    async with opened(make) as shelf:
        draft = await shelf.begin("a", 10)
        gate = Gate(monkeypatch)
        first = asyncio.create_task(draft.sync())
        await gate.reached()
        second = asyncio.create_task(draft.sync())
        await asyncio.sleep(0)
        first.cancel()
        second.cancel()
        closing = asyncio.create_task(draft.close())
        assert not (await asyncio.wait({closing}, timeout=0.05))[0]
        gate.go.set()
        await closing
        assert (gate.calls, gate.running) == (1, 0)


@pytest.mark.parametrize(
    ("code", "error"),
    [(errno.EIO, StorageFailed), (errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull)],
)
async def test_a_failed_flush_is_not_tried_again(
    draft: Draft, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    code: int, error: type[FilepipeError],
) -> None:  # fmt: skip
    """Everybody who waited hears of it, and from then on nothing is acknowledged or published."""
    await draft.write(0, b"0123456789")
    failing = Failing(monkeypatch, "fdatasync", code)
    outcomes = await asyncio.gather(*(draft.sync() for _ in range(5)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [error] * 5
    assert "secret" not in str(outcomes)
    for again in (draft.sync(), draft.publish(PurePosixPath("name"), unique=True, size=10)):
        with pytest.raises(StorageFailed, match="did not reach the disk"):
            await again
    assert failing.calls == 1
    assert list((tmp_path / "objects").iterdir()) == []
    assert await draft.read(0, 10) == b"0123456789"


async def test_a_failure_that_nobody_waited_for(
    draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one caller was cancelled; the next hears of the failure all the same."""
    gate = Gate(monkeypatch)
    sync = asyncio.create_task(draft.sync())
    await gate.reached()
    gate.real = lambda _fd: os.close(-1)
    sync.cancel()
    gate.go.set()
    with pytest.raises(StorageFailed):
        await draft.sync()
    assert gate.calls == 1


def test_a_drive_that_keeps_bytes_in_its_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the system has a call that goes through to the medium, it is used, where it works."""
    calls: list[tuple[int, int]] = []
    codes = iter([None, None, errno.ENOTSUP, errno.EIO])

    def full(fd: int, command: int) -> Any:
        calls.append((fd, command))
        if code := next(codes):
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(system_calls, "_FULL", 51)
    monkeypatch.setattr(fcntl, "fcntl", full)
    synced = Failing(monkeypatch, "fsync", errno.EIO, times=0)
    data = Failing(monkeypatch, "fdatasync", errno.EIO, times=0)
    with (tmp_path / "file").open("wb") as file:
        flush, fd = Flushes(), file.fileno()
        flush.data(fd)
        flush.file(fd)
        assert (synced.calls, data.calls) == (0, 0)
        flush.file(fd)
        assert synced.calls == 1
        with pytest.raises(OSError, match="Input/output"):
            flush.file(fd)
    assert calls == [(fd, 51)] * 4


def test_a_file_system_that_cannot_flush_folders(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Some have no such call for a folder, which is no failure; for a file it is one."""
    Failing(monkeypatch, "fsync", errno.EINVAL, times=2)
    with (tmp_path / "file").open("wb") as file:
        flush = Flushes()
        flush.folder(file.fileno())
        with pytest.raises(OSError, match="Invalid"):
            flush.file(file.fileno())
        with pytest.raises(StorageFailed):
            flush.folder(file.fileno())
