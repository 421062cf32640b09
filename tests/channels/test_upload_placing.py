"""A part that is written behind our back is hashed as it comes, and counts only if it is whole."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

import pytest

from filepipe.channels.upload_placing import STEP, TURN, Placed
from filepipe.channels.upload_plan import Wanted
from filepipe.channels.uploads import Uploads
from filepipe.chunks import plan
from filepipe.errors import Broken, StorageFailed
from filepipe.records.uploads import Upload
from filepipe.testing import turns
from tests.channels.test_uploads_faults import engine

SIZE = TURN + STEP + 7
BODY = random.Random(3).randbytes(2 * SIZE)


class Written:
    """A body that somebody writes into the file, as the kernel does, in steps."""

    def __init__(self, data: bytes, steps: int = 3) -> None:
        self.data = data
        self.steps = steps
        self.going_on = asyncio.Event()
        self.going_on.set()
        self.willing = True
        self.begun = False
        self.failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.data

    def can_place(self, size: int) -> bool:
        """Always, if it is the size."""
        return size == len(self.data)

    async def place(self, placed: Placed) -> bool:
        """A first piece by the loop, the rest behind its back."""
        if not self.willing:
            return False
        await placed.write((self.data[:10],))
        start = placed.position - 10
        for step in range(1, self.steps + 1):
            stop = len(self.data) * step // self.steps
            at = placed.position - start
            os.pwrite(placed.fd, self.data[at:stop], placed.position)
            placed.reached(start + stop)
            self.begun = True
            await turns()
            await self.going_on.wait()
            if self.failure is not None:
                raise self.failure
        return True


@pytest.fixture
async def uploads(tmp_path: Path) -> AsyncIterator[Uploads]:
    """An engine over real files."""
    async with engine(tmp_path) as uploads:
        yield uploads


async def begin(uploads: Uploads) -> Upload:
    """An upload of two parts."""
    parts = plan(len(BODY), SIZE, balanced=False)
    return await uploads.begin("me", Wanted(PurePosixPath("f"), parts, "local", True, None, None))


async def test_parts_at_their_places(uploads: Uploads, tmp_path: Path) -> None:
    """Side by side, each with its own hash; also one whose file could not be had at the moment."""
    upload = await begin(uploads)
    first, second = Written(BODY[:SIZE]), Written(BODY[SIZE:], steps=7)
    first.willing = False
    done = await asyncio.gather(
        uploads.put_part(upload, 1, second), uploads.put_part(upload, 0, first)
    )
    for part, data in ((done[0][0], BODY[SIZE:]), (done[1][0], BODY[:SIZE])):
        assert part.sha256 == hashlib.sha256(data).hexdigest()
    assert second.begun, "the kernel was not asked"
    assert not first.begun
    await uploads.complete(upload.id)
    assert (tmp_path / "objects" / "f").read_bytes() == BODY


@pytest.mark.parametrize("how", ["cut", "cancelled"])
async def test_a_sender_that_leaves(uploads: Uploads, how: str) -> None:
    """Its part does not count; the next one may have other bytes."""
    upload = await begin(uploads)
    body = Written(b"*" * SIZE)
    body.going_on.clear()
    sending = asyncio.create_task(uploads.put_part(upload, 0, body))
    while not body.begun:
        await turns()
    if how == "cut":
        body.failure = Broken("the sender left")
        body.going_on.set()
    else:
        sending.cancel()
    await asyncio.wait({sending})
    assert sending.cancelled() or sending.exception() is body.failure
    assert await uploads.stored_parts(upload.id) == 0
    part, _ = await uploads.put_part(upload, 0, Written(BODY[:SIZE]))
    assert part.sha256 == hashlib.sha256(BODY[:SIZE]).hexdigest()


async def test_what_cannot_be_read_back(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a failure of the disk, and not stored."""
    upload = await begin(uploads)

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as broken:
        broken.setattr(os, "preadv", fail)
        with pytest.raises(StorageFailed, match="broken"):
            await uploads.put_part(upload, 0, Written(BODY[:SIZE]))
    assert await uploads.stored_parts(upload.id) == 0
    assert (await uploads.put_part(upload, 0, Written(BODY[:SIZE])))[1] == 1
