"""Drafts that grow in a bucket against a model: any order of writes, syncs, reads and restarts."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filepipe.errors import FilepipeError
from filepipe.storage.interface import Draft
from filepipe_backends import s3 as shelves
from filepipe_backends import s3_segments
from filepipe_backends.s3 import S3Shelf
from tests.backends import memory_bucket
from tests.backends.memory_bucket import MemoryBucket, Server

NAME = PurePosixPath("name")
STEPS = st.sampled_from(["write", "write", "sync", "sync", "again", "restart", "back", "read"])


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Segments of 8 bytes and more, a step larger after each two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_bucket, "SMALLEST", 5)
        patch.setattr(s3_segments, "SMALLEST", 8)
        patch.setattr(s3_segments, "STEP", 2)
        yield


class World:
    """A caller that keeps to the rules, and what it knows."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.server = Server()
        self.folder = folder
        self.written = b""
        self.ends = [0, 0]
        """The last two ends that were durable, the later one at the end; one of them is noted."""
        self.shelf: S3Shelf
        self.draft: Draft

    def open(self) -> None:
        """A start."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shelves, "Bucket", lambda place: MemoryBucket(self.server))
            self.shelf = S3Shelf("bucket", self.folder)

    async def write(self) -> None:
        """Some more bytes, one after another."""
        data = self.random.randbytes(self.random.randrange(1, 40))
        await self.draft.write(len(self.written), data)
        self.written += data

    async def sync(self) -> None:
        """What is written is durable; the end before is noted by now."""
        await self.draft.sync()
        self.ends = [self.ends[1], len(self.written)]

    async def again(self) -> None:
        """What is not durable is written anew."""
        self.written = self.written[: self.ends[1]]
        await self.write()

    async def restart(self) -> None:
        """From the last end that was durable, or, where that was not noted, the one before."""
        await self.draft.close()
        self.shelf._pool.shutdown()
        self.open()
        self.draft = await self.shelf.reopen("a", None)
        self.written = self.written[: self.random.choice(self.ends)]
        self.ends = [len(self.written)] * 2
        await self.write()

    async def back(self) -> None:
        """The server refuses one request; the same call is made again."""
        self.server.at = self.server.steps + self.random.randrange(1, 5)
        self.server.how = self.random.choice(["refused", "lost"])
        try:
            await self.draft.sync()
        except FilepipeError:
            await self.draft.sync()
        self.server.at = 0
        self.ends = [self.ends[1], len(self.written)]

    async def read(self) -> None:
        """Bytes that are durable, from anywhere."""
        if self.ends[1]:
            at = self.random.randrange(self.ends[1])
            found = await self.draft.read(at, 9)
            assert found
            assert found == self.written[at : at + len(found)]

    async def run(self, steps: list[str]) -> None:
        """All of it, then the end."""
        self.open()
        self.draft = await self.shelf.begin("a", None)
        for step in steps:
            await getattr(self, step)()
        await self.sync()
        path = await self.draft.publish(NAME, unique=True, size=len(self.written))
        await self.draft.discard()
        assert self.server.objects.pop(path)[0] == self.written
        assert (self.server.objects, self.server.uploads) == ({}, {})
        assert list(self.folder.iterdir()) == []
        self.shelf._pool.shutdown()


@given(st.lists(STEPS, max_size=25), st.integers(0, 2**32))
@settings(max_examples=40)
def test_whatever_is_done(steps: list[str], seed: int) -> None:
    """The object is what was written last, and nothing else is left."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(World(Path(folder), seed).run(steps))
