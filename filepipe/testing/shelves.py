"""A suite that every shelf passes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import PurePosixPath

import pytest

from filepipe.errors import Conflict, NotFound, StorageFailed
from filepipe.storage.interface import PartDraft, Shelf
from filepipe.testing.growing import GrowingSuite
from filepipe.testing.shelf_steps import Make, bring, content, fill, opened, store


class ShelfSuite(GrowingSuite):
    """What every shelf must do: subclass it and give a fixture `make`, which opens the shelf."""

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    async def shelf(self, make: Make) -> AsyncIterator[Shelf]:
        """Open the shelf for one test."""
        async with opened(make) as shelf:
            yield shelf

    @pytest.mark.parametrize("size", [0, 1, 9_999, 1_000_000])
    async def test_what_was_written_is_kept(self, shelf: Shelf, size: int) -> None:
        """Pieces in any order and side by side become one object, whatever its size."""
        body = os.urandom(size)
        path = await store(shelf, "a", body, "a file.bin")
        assert path == "a file.bin"
        assert await content(shelf, path) == body
        assert await shelf.drafts() == []

    async def test_a_draft_is_read_while_it_arrives(self, shelf: Shelf) -> None:
        """What was written can be read before the rest is there."""
        if not shelf.traits.live:
            pytest.skip("this shelf shows only what is whole")
        body = os.urandom(100_000)
        draft = await shelf.begin("a", len(body))
        await draft.write(50_000, memoryview(body)[50_000:])
        assert await draft.read(50_000, 50_000) == body[50_000:]
        assert len(await draft.read(60_000, 7)) <= 7
        await draft.discard()

    async def test_a_draft_is_read(self, shelf: Shelf) -> None:
        """What was written can be read before it has a name, and after."""
        body = os.urandom(100_000)
        draft = await shelf.begin("a", len(body))
        await fill(draft, body)
        assert (await draft.read(0, 50_000))[:1] == body[:1]
        assert len(await draft.read(60_000, 7)) <= 7
        await draft.publish(PurePosixPath("a"), unique=True, size=len(body))
        for offset in (0, 1, 49_999, 99_999):
            part = await draft.read(offset, 1_000_000)
            assert part
            assert part == body[offset : offset + len(part)]
        assert await draft.read(100_000, 1) == b""
        await draft.discard()

    async def test_drafts_are_apart(self, shelf: Shelf) -> None:
        """Objects that are written at the same time do not mix."""
        bodies = [bytes([number]) * 100_000 for number in range(8)]
        paths = await asyncio.gather(
            *(store(shelf, f"u{body[0]}", body, f"f{body[0]}") for body in bodies)
        )
        for path, body in zip(paths, bodies, strict=True):
            assert await content(shelf, path) == body

    async def test_writing_again(self, shelf: Shelf) -> None:
        """The last of two writes to the same bytes counts, also behind a cancelled one."""
        draft = await shelf.begin("a", 500_000)
        first = asyncio.create_task(fill(draft, b"1" * 500_000, 500_000))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait({first})
        await fill(draft, b"2" * 500_000, 500_000)
        path = await draft.publish(PurePosixPath("a"), unique=True, size=500_000)
        assert await content(shelf, path) == b"2" * 500_000
        await draft.discard()

    async def test_many_ask_for_a_sync(self, shelf: Shelf) -> None:
        """Syncs beside writes and beside each other all return; one that leaves stops no other."""
        draft = await shelf.begin("a", 80_000)
        if isinstance(draft, PartDraft):
            pytest.skip("this draft takes no writes")

        async def part(number: int) -> None:
            for at in range(number * 1000, number * 1000 + 1000, 250):
                await draft.write(at, bytes([number]) * 250)
                await draft.sync()

        leaving = asyncio.create_task(draft.sync())
        parts = [asyncio.create_task(part(number)) for number in range(80)]
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(*parts)
        assert await draft.read(79_000, 1) == bytes([79])
        await draft.discard()

    @pytest.mark.parametrize(
        "name",
        [
            "plain",
            "a/b/c/deep.txt",
            "ein Märchen — 童話 🧚.tar.gz",
            "x" * 255,
            ".hidden",
            "~$ &;'\"",
        ],
    )
    async def test_names(self, shelf: Shelf, name: str) -> None:
        """A name is kept as it is, its folders are made, and it can be removed."""
        for number, prefix in enumerate(("", "below/")):
            path = await store(shelf, f"u{number}", name.encode(), prefix + name)
            assert path == prefix + name
            assert await content(shelf, path) == name.encode()
        await shelf.remove(name)
        with pytest.raises(NotFound):
            await shelf.open(name)
        await shelf.remove(name)
        assert await content(shelf, "below/" + name) == name.encode()

    @pytest.mark.parametrize("name", ["photo.jpeg", "a/b.tar.gz", "none", "ü" * 120 + ".markdown"])
    async def test_unique_names(self, shelf: Shelf, name: str) -> None:
        """A name that is taken gets an addition, at once too, and nobody's object changes."""
        bodies = [os.urandom(5000) for _ in range(6)]
        first = await store(shelf, "first", bodies[0], name)
        paths = await asyncio.gather(
            *(store(shelf, f"u{at}", body, name) for at, body in enumerate(bodies[1:]))
        )
        assert len({first, *paths}) == 6
        suffix = PurePosixPath(name).suffix
        for path, body in zip([first, *paths], bodies, strict=True):
            assert PurePosixPath(path).suffix == suffix
            assert PurePosixPath(path).parent == PurePosixPath(name).parent
            assert len(PurePosixPath(path).name.encode()) <= 255
            assert await content(shelf, path) == body

    async def test_replacing(self, shelf: Shelf) -> None:
        """Without `unique` the new object takes the place of the old one."""
        await store(shelf, "a", b"old and longer", "folder/name")
        for number in range(3):
            body = b"%d" % number
            path = await store(shelf, f"u{number}", body, "folder/name", unique=False)
            assert path == "folder/name"
            assert await content(shelf, path) == body

    @pytest.mark.parametrize("unique", [True, False])
    async def test_publishing_again(self, shelf: Shelf, unique: bool) -> None:
        """A second try gives the path of the first, and makes no second object."""
        name = PurePosixPath("f/taken")
        await store(shelf, "first", b"first", str(name))
        draft = await shelf.begin("a", 1000)
        await fill(draft, b"x" * 1000)
        path = await draft.publish(name, unique=unique, size=1000)
        assert await draft.publish(name, unique=unique, size=1000) == path
        await draft.discard()
        assert await content(shelf, path) == b"x" * 1000
        other = await store(shelf, "b", b"other", str(name))
        assert other not in (path, str(name))

    @pytest.mark.parametrize("unique", [True, False])
    async def test_publishing_again_after_a_restart(self, make: Make, unique: bool) -> None:
        """Whoever crashed before it noted the path gets it once more."""
        name = PurePosixPath("f/taken")
        async with opened(make) as shelf:
            await store(shelf, "first", b"first", str(name))
            draft = await shelf.begin("a", 1000)
            await fill(draft, b"x" * 1000)
            path = await draft.publish(name, unique=unique, size=1000)
            await draft.close()
        async with opened(make) as shelf:
            assert await shelf.drafts() == [draft.handle]
            again = await shelf.reopen(draft.handle, 1000)
            assert await again.read(0, 1) == b"x"
            assert await again.publish(name, unique=unique, size=1000) == path
            await again.discard()
            assert await shelf.drafts() == []
            assert await content(shelf, path) == b"x" * 1000

    async def test_a_draft_outlives_a_restart(self, make: Make) -> None:
        """What was written is there again, and the rest can follow."""
        async with opened(make) as shelf:
            size = max(shelf.traits.smallest_part, 100_000)
            body = os.urandom(2 * size)
            draft = await shelf.begin("a-b_C9", len(body))
            await bring(draft, 1, body[size:])
            await draft.close()
        async with opened(make) as shelf:
            assert await shelf.drafts() == [draft.handle]
            again = await shelf.reopen(draft.handle, len(body))
            assert again.handle == draft.handle
            await bring(again, 0, body[:size])
            path = await again.publish(PurePosixPath("whole"), unique=True, size=len(body))
            await again.discard()
            assert await content(shelf, path) == body

    async def test_drafts_that_go(self, make: Make) -> None:
        """Nothing is left of a draft that was discarded or dropped; drop does not mind."""
        async with opened(make) as shelf:
            await (await shelf.begin("discarded", 1000)).discard()
            await (await shelf.begin("dropped", 1000)).close()
            kept = await shelf.begin("kept", 1000)
            await kept.close()
        async with opened(make) as shelf:
            assert len(await shelf.drafts()) == 2
            for handle in await shelf.drafts():
                if handle != kept.handle:
                    await shelf.drop(handle)
                    await shelf.drop(handle)
                    with pytest.raises(StorageFailed):
                        await shelf.reopen(handle, 1000)
            assert await shelf.drafts() == [kept.handle]
            await (await shelf.reopen(kept.handle, 1000)).discard()

    async def test_a_discard_leaves_the_object(self, shelf: Shelf) -> None:
        """What has a name stays when the draft goes, and when it is dropped."""
        path = await store(shelf, "a", b"object", "a")
        await shelf.drop("a")
        assert await content(shelf, path) == b"object"

    async def test_a_draft_is_refused(self, shelf: Shelf) -> None:
        """No second draft of the same id, none with an odd handle or another size."""
        draft = await shelf.begin("a", 1000)
        with pytest.raises(StorageFailed):
            await shelf.begin("a", 1000)
        await draft.close()
        for handle, size in (("b", 1000), ("../a", 1000), ("", 0), (draft.handle, 999)):
            with pytest.raises(StorageFailed):
                await shelf.reopen(handle, size)
        assert await shelf.drafts() == [draft.handle]

    @pytest.mark.parametrize("unique", [True, False])
    async def test_a_name_below_an_object(self, shelf: Shelf, unique: bool) -> None:
        """An object is no folder, where there are folders; the draft can be published elsewhere."""
        await store(shelf, "a", b"object", "name")
        draft = await shelf.begin("b", 4)
        await fill(draft, b"body")
        try:
            path = await draft.publish(PurePosixPath("name/below"), unique=unique, size=4)
        except Conflict:
            path = await draft.publish(PurePosixPath("else"), unique=unique, size=4)
        await draft.discard()
        assert await content(shelf, path) == b"body"
        assert await content(shelf, "name") == b"object"

    async def test_a_name_that_leads_out(self, shelf: Shelf) -> None:
        """Whatever the caller let through, the shelf keeps to its own."""
        draft = await shelf.begin("b", 4)
        await fill(draft, b"body")
        for name in ("../out", "a/../../out", "/out", "."):
            with pytest.raises(Conflict):
                await draft.publish(PurePosixPath(name), unique=False, size=4)
            with pytest.raises(NotFound):
                await shelf.open(name)
            await shelf.remove(name)
        await draft.discard()

    async def test_it_is_well(self, shelf: Shelf) -> None:
        """A shelf without a fault says so."""
        assert await shelf.check() is None
