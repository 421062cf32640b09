"""A suite that every storage passes, and fakes named for their fault."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence

import pytest

from filepipe.errors import DiskFull, StorageFailed
from filepipe.storage.interface import Blob, Descriptor, Storage


async def read_all(blob: Blob, limit: int = 64 * 1024) -> bytes:
    """Read a blob from its start to its size, `limit` bytes at a time."""
    parts: list[bytes] = []
    offset = 0
    while part := await blob.read(offset, limit):
        assert len(part) <= limit, "read returned more than its limit"
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


async def write(storage: Storage, *sizes: int, finish: bool = False) -> Blob:
    """Make a blob of random chunks of these sizes."""
    blob = await storage.create()
    for size in sizes:
        await blob.append([os.urandom(size)])
    if finish:
        await blob.finish()
    return blob


async def turns(count: int = 20) -> None:
    """Let everything else go on for so many turns of the loop."""
    for _ in range(count):
        await asyncio.sleep(0)


class StorageSuite:
    """What every storage must do: subclass it and give a fixture `storage`."""

    pytestmark = pytest.mark.asyncio

    async def test_an_empty_blob_reads_as_nothing(self, storage: Storage) -> None:
        """A new blob has no bytes and says so at any offset."""
        blob = await storage.create()
        assert blob.size == 0
        assert await blob.read(0, 10) == b""
        assert await blob.read(7, 10) == b""
        await blob.finish()
        assert await read_all(blob) == b""
        await blob.discard()

    async def test_what_was_appended_is_read(self, storage: Storage) -> None:
        """Chunks come back in order, whatever their sizes, before and after the end."""
        blob = await storage.create()
        model = b""
        for size in (1, 0, 15, 1000, 16 * 1024, 3, 70_000, 1, 300_000):
            chunk = os.urandom(size)
            await blob.append([chunk])
            model += chunk
            assert blob.size == len(model)
            assert await read_all(blob) == model
        await blob.finish()
        assert await read_all(blob) == model
        await blob.discard()

    async def test_one_append_takes_many_chunks(self, storage: Storage) -> None:
        """More chunks than the kernel takes at once, empty ones among them, are one append."""
        chunks = [os.urandom(index % 700) for index in range(3000)]
        blob = await storage.create()
        await blob.append([])
        await blob.append(chunks)
        assert blob.size == sum(map(len, chunks))
        assert await read_all(blob) == b"".join(chunks)
        await blob.discard()

    async def test_many_tiny_appends(self, storage: Storage) -> None:
        """A writer of single bytes is served as well."""
        blob = await storage.create()
        model = os.urandom(3000)
        for index in range(len(model)):
            await blob.append([model[index : index + 1]])
        assert await read_all(blob) == model
        await blob.finish()
        assert await read_all(blob, 7) == model
        await blob.discard()

    async def test_a_large_blob(self, storage: Storage) -> None:
        """Several MiB, written as a pump does."""
        chunks = [os.urandom(65_536) for _ in range(80)]
        blob = await storage.create()
        for first in range(0, len(chunks), 2):
            await blob.append(chunks[first : first + 2])
        await blob.finish()
        assert await read_all(blob, 1024 * 1024) == b"".join(chunks)
        await blob.discard()

    async def test_a_read_keeps_to_offset_and_limit(self, storage: Storage) -> None:
        """A read gives between 1 and `limit` bytes from exactly `offset`."""
        model = os.urandom(200_000)
        blob = await storage.create()
        await blob.append([model[:50], model[50:100_000], model[100_000:]])
        for offset in (0, 1, 49, 50, 51, 65_536, 99_999, 100_000, 199_999):
            for limit in (1, 2, 4096, 500_000):
                part = await blob.read(offset, limit)
                assert 1 <= len(part) <= limit
                assert part == model[offset : offset + len(part)]
        assert await blob.read(200_000, 1) == b""
        assert await blob.read(200_001, 1) == b""
        await blob.discard()

    async def test_readers_beside_the_writer(self, storage: Storage) -> None:
        """Readers that follow a growing blob see its bytes, each at its own pace."""
        chunks = [os.urandom(20_000) for _ in range(60)]
        blob = await storage.create()
        done = False

        async def follow(limit: int) -> bytes:
            read = b""
            while not done or len(read) < blob.size:
                read += await blob.read(len(read), limit)
                await asyncio.sleep(0)
            return read

        readers = [asyncio.create_task(follow(limit)) for limit in (700, 16_384, 1_000_000)]
        for chunk in chunks:
            await blob.append([chunk])
            await asyncio.sleep(0)
        await blob.finish()
        done = True
        for read in await asyncio.gather(*readers):
            assert read == b"".join(chunks)
        await blob.discard()

    async def test_blobs_are_apart(self, storage: Storage) -> None:
        """Blobs written at the same time do not mix, and one survives another's discard."""
        blobs = [await storage.create() for _ in range(8)]

        async def write(index: int) -> None:
            for _ in range(20):
                await blobs[index].append([bytes([index]) * 5000])

        await asyncio.gather(*map(write, range(8)))
        await asyncio.gather(*(blob.discard() for blob in blobs[::2]))
        for index in (1, 3, 5, 7):
            assert await read_all(blobs[index]) == bytes([index]) * 100_000
        await asyncio.gather(*(blob.discard() for blob in blobs[1::2]))

    @pytest.mark.parametrize("expected", [0, 10, 1000, 2_000_000])
    async def test_the_expected_size_is_a_hint(self, storage: Storage, expected: int) -> None:
        """A blob may become larger or smaller than was expected."""
        blob = await storage.create(expected)
        assert blob.size == 0
        await blob.append([b"x" * 1000])
        await blob.finish()
        assert await read_all(blob) == b"x" * 1000
        await blob.discard()

    async def test_discard_without_finish(self, storage: Storage) -> None:
        """A blob that was never finished can be let go, whatever was written."""
        for size in (0, 1, 500_000, 2_500_000):
            blob = await storage.create()
            await blob.append([bytes(size)])
            await blob.discard()

    @pytest.mark.parametrize("steps", range(4))
    async def test_a_cancelled_append(self, storage: Storage, steps: int) -> None:
        """After a cancelled append the blob holds none or all of it, and goes on."""
        blob = await storage.create()
        await blob.append([b"before"])
        append = asyncio.create_task(blob.append([b"cancelled" * 100_000]))
        for _ in range(steps):
            await asyncio.sleep(0)
        append.cancel()
        await asyncio.wait({append})
        model = b"before" if append.cancelled() else b"before" + b"cancelled" * 100_000
        await blob.append([b"after" * 30_000])
        assert await read_all(blob) == model + b"after" * 30_000
        await blob.discard()

    @pytest.mark.parametrize("steps", range(4))
    async def test_a_cancelled_read(self, storage: Storage, steps: int) -> None:
        """A reader that leaves in the middle of a read disturbs nobody."""
        blob = await storage.create()
        await blob.append([b"x" * 400_000])
        await blob.finish()
        reads = [asyncio.create_task(blob.read(0, 400_000)) for _ in range(10)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for read in reads[1:]:
            read.cancel()
        await asyncio.wait(reads)
        assert reads[0].result()[:1] == b"x"
        assert await read_all(blob) == b"x" * 400_000
        await blob.discard()

    async def test_the_descriptor_if_there_is_one(self, storage: Storage) -> None:
        """The kernel sees what was appended, and what it writes at the end counts after `grow`."""
        blob = await storage.create(5_000_000)
        if not isinstance(blob, Descriptor):
            await blob.discard()
            pytest.skip("this storage has no descriptors")
        await blob.append([b"appended"])
        fd = await blob.descriptor()
        if fd < 0:
            await blob.discard()
            pytest.skip("this storage has no descriptor for this blob")
        assert os.pread(fd, 100, 0) == b"appended"
        os.pwrite(fd, b" and written", blob.size)
        blob.grow(len(b" and written"))
        assert blob.size == 20
        await blob.append([b" and appended"])
        await blob.finish()
        assert await blob.descriptor() == fd
        assert os.pread(fd, 100, 0) == b"appended and written and appended"
        assert await read_all(blob) == b"appended and written and appended"
        await blob.discard()


Before = Callable[[str, int], Awaitable[None]]
"""Runs before a call of the inner storage or blob: gets its name and the size of its bytes."""


class _FakeBlob:
    """Passes every call on to `inner`, after `before` agreed; has no descriptor."""

    def __init__(self, inner: Blob, before: Before) -> None:
        self._inner = inner
        self._before = before

    @property
    def size(self) -> int:
        return self._inner.size

    async def append(self, chunks: Sequence[bytes]) -> None:
        await self._before("append", sum(map(len, chunks)))
        await self._inner.append(chunks)

    async def read(self, offset: int, limit: int) -> bytes:
        await self._before("read", limit)
        return await self._inner.read(offset, limit)

    async def finish(self) -> None:
        await self._before("finish", 0)
        await self._inner.finish()

    async def discard(self) -> None:
        await self._before("discard", self.size)
        await self._inner.discard()


class _FakeStorage:
    """Puts `before` in front of every call; the fakes below say what it does."""

    def __init__(self, inner: Storage) -> None:
        self._inner = inner

    async def create(self, expected: int | None = None) -> _FakeBlob:
        """Make a blob with the same fault."""
        await self.before("create", expected or 0)
        return _FakeBlob(await self._inner.create(expected), self.before)

    async def aclose(self) -> None:
        """Close the inner storage."""
        await self._inner.aclose()

    async def before(self, call: str, size: int) -> None:
        """Run before each call `create`, `append`, `read`, `finish` or `discard`."""
        raise NotImplementedError


class SlowStorage(_FakeStorage):
    """Gives way in every call; the calls named in `held` wait there until `release`."""

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner)
        self.held: set[str] = set()
        self.waiting: list[str] = []
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let all calls that wait go on, and hold no more."""
        self.held.clear()
        self._released.set()
        self._released = asyncio.Event()

    async def before(self, call: str, size: int) -> None:
        """Wait if the call is held, else for one turn of the loop."""
        if call not in self.held:
            await asyncio.sleep(0)
            return
        self.waiting.append(call)
        try:
            await self._released.wait()
        finally:
            self.waiting.remove(call)


class FullStorage(_FakeStorage):
    """Has `room` for so many bytes in all its blobs together, and is full then."""

    def __init__(self, inner: Storage, room: int = 0) -> None:
        super().__init__(inner)
        self.room = room

    async def before(self, call: str, size: int) -> None:
        """Take the bytes of an append out of the room that is left; a discard puts them back."""
        if call == "discard":
            self.room += size
        if call == "append":
            if size > self.room:
                raise DiskFull("disk full, try again later")
            self.room -= size


class FailingStorage(_FakeStorage):
    """Fails in every call that `failing` names: create, append, read or finish."""

    def __init__(self, inner: Storage, *failing: str) -> None:
        super().__init__(inner)
        self.failing = set(failing)

    async def before(self, call: str, size: int) -> None:
        """Refuse the call if it is among those that fail."""
        await asyncio.sleep(0)
        if call in self.failing and call != "discard":
            raise StorageFailed("the storage failed: a fake fault")
