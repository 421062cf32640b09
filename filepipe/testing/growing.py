"""The part of the suite for shelves that is about drafts without a size."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

import pytest

from filepipe.storage.interface import Shelf
from filepipe.testing.shelf_steps import MIB, Make, content, opened


class GrowingSuite:
    """What every shelf must do with drafts that begin without a size."""

    @pytest.mark.parametrize("size", [0, 1, 300_000, 12 * MIB + 7])
    async def test_one_that_grows(self, shelf: Shelf, size: int) -> None:
        """A draft whose length nobody knows takes its bytes in order, and ends where it ends."""
        body = os.urandom(size)
        draft = await shelf.begin("a", None)
        for at in range(0, size, MIB):
            await draft.write(at, body[at : at + MIB])
            if at % (3 * MIB) == 0:
                await draft.sync()
        await draft.sync()
        path = await draft.publish(PurePosixPath("a"), unique=True, size=size)
        await draft.discard()
        assert await content(shelf, path) == body
        assert await shelf.drafts() == []

    async def test_one_that_grows_is_written_over(self, shelf: Shelf) -> None:
        """What is not durable yet may come anew, shorter too; it is cut to what it is to be."""
        body = os.urandom(8 * MIB)
        draft = await shelf.begin("a", None)
        await draft.write(0, body[: 6 * MIB])
        await draft.sync()
        await draft.write(6 * MIB, bytes(7 * MIB))
        assert (await draft.read(6 * MIB, 9))[:1] == b"\0"
        await draft.write(6 * MIB, body[6 * MIB :])
        await draft.sync()
        await draft.write(8 * MIB, b"rest")
        await draft.sync()
        path = await draft.publish(PurePosixPath("a"), unique=True, size=len(body))
        assert await draft.publish(PurePosixPath("a"), unique=True, size=len(body)) == path
        await draft.discard()
        assert await content(shelf, path) == body

    @pytest.mark.parametrize("known", [3 * MIB, 11 * MIB, 12 * MIB])
    async def test_one_that_grows_outlives_a_restart(self, make: Make, known: int) -> None:
        """It goes on from any end that was durable, be it the last or the one before."""
        body = os.urandom(13 * MIB)
        async with opened(make) as shelf:
            draft = await shelf.begin("a", None)
            for start, end in ((0, known), (known, 12 * MIB)):
                await draft.write(start, body[start:end])
                await draft.sync()
            await draft.write(12 * MIB, b"lost")
            await draft.close()
        async with opened(make) as shelf:
            assert await shelf.drafts() == [draft.handle]
            again = await shelf.reopen(draft.handle, None)
            await again.write(known, body[known:])
            await again.sync()
            path = await again.publish(PurePosixPath("a"), unique=True, size=len(body))
            await again.discard()
            assert await content(shelf, path) == body
            assert await shelf.drafts() == []
