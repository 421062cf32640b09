"""Records, shelf, engine and chores are opened together, and closed however that ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from filepipe import upload_service
from filepipe.accountant import Budget
from filepipe.channels.directory import Directory
from filepipe.channels.upload_activity import UploadActivity
from filepipe.channels.upload_plan import UploadRules, Wanted
from filepipe.channels.uploads import Uploads
from filepipe.chunks import plan
from filepipe.errors import ConfigError, StorageFailed, Unavailable
from filepipe.records import uploads as records
from filepipe.testing import turns
from filepipe.upload_service import ShelfPlace, UploadPlaces, open_uploads
from filepipe_backends.local import LocalShelf

Open = Callable[..., Any]


@pytest.fixture
def opening(tmp_path: Path) -> Open:
    """Open uploads that live for `ttl` seconds."""

    def opened(ttl: float = 100.0, shelf: str | None = None, more: tuple[str, ...] = ()) -> Any:
        place = ShelfPlace(shelf or f"local:{tmp_path / 'root'}", tmp_path / "parts")
        other = ShelfPlace("none:", tmp_path / "other")
        shelves = {"local": place, "other": other}
        places = UploadPlaces(tmp_path / "uploads.db", shelves, "local", {"local", *more})
        rules = UploadRules(ttl, 5.0, None, 10, 1)
        return open_uploads(
            places, Budget("disk", None), rules, lambda upload: None, UploadActivity(), Directory(9)
        )

    return opened


async def begin(uploads: Uploads, storage: str = "local") -> str:
    """Begin one of ten bytes."""
    wanted = Wanted(PurePosixPath("name"), plan(10, 10, balanced=True), storage, True, None, None)
    return (await uploads.begin("me", wanted)).id


async def test_it_is_there_again(opening: Open) -> None:
    """What was begun outlives the service."""
    async with opening() as engines:
        upload_id = await begin(engines.parts)
    async with opening() as engines:
        assert (await engines.parts.find(upload_id)).status == "pending"
        assert await engines.parts.trouble() is None


async def test_what_is_abandoned_goes_soon(opening: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first look after a start, and at each later one."""
    monkeypatch.setattr(upload_service, "FIRST_SWEEP", 0.0)
    monkeypatch.setattr(upload_service, "SWEEP", 0.01)
    async with opening(ttl=-1.0) as engines:
        for _ in range(2):
            upload_id = await begin(engines.parts)
            async with asyncio.timeout(10):
                while any(
                    each.id == upload_id for each in await engines.parts.listing("me", 9, None)
                ):
                    await turns()


async def test_a_start_waits_for_nothing_to_be_removed(
    opening: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no record names goes once its storage answers; no start and no end waits for that."""
    asked, answer = asyncio.Event(), asyncio.Event()
    drop = LocalShelf.drop

    async def late(shelf: LocalShelf, handle: str) -> None:
        asked.set()
        await answer.wait()
        await drop(shelf, handle)

    async with opening() as engines:
        await begin(engines.parts)
    monkeypatch.setattr(records, "handles", lambda conn: set())
    monkeypatch.setattr(LocalShelf, "drop", late)
    for _ in range(2):
        async with asyncio.timeout(10), opening():
            await asked.wait()
            asked.clear()
    async with asyncio.timeout(10), opening() as engines:
        answer.set()
        while await engines.parts._shelves.of("local").drafts():
            await turns()


async def test_what_nobody_uses_holds_nothing(
    opening: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its descriptor goes after a while, the upload does not."""
    monkeypatch.setattr(upload_service, "RESTING", 0.01)
    async with opening() as engines:
        upload_id = await begin(engines.parts)
        async with asyncio.timeout(10):
            while str(tmp_path / "parts" / upload_id) in descriptors():
                await turns()
        assert (await engines.parts.find(upload_id)).status == "pending"


def descriptors() -> set[str]:
    """What this process has open."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one for looking is gone by now
            found.add(str(path.readlink()))
    return found


async def test_a_look_that_fails_is_not_the_last(
    opening: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one may succeed."""
    monkeypatch.setattr(upload_service, "FIRST_SWEEP", 0.0)
    monkeypatch.setattr(upload_service, "SWEEP", 0.0)
    looks = 0

    async def failing(self: Uploads) -> int:
        nonlocal looks
        looks += 1
        raise StorageFailed("ill")

    monkeypatch.setattr(Uploads, "expire", failing)
    async with opening():
        async with asyncio.timeout(10):
            while looks < 3:
                await turns()


async def test_a_shelf_that_cannot_be_opened(opening: Open, tmp_path: Path) -> None:
    """It is a wrong setting, and the database is free for the next try."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError):
        async with opening(shelf=f"local:{tmp_path / 'file'}"):
            pass
    async with opening() as engines:
        assert await engines.parts.listing("me", 9, None) == []


async def test_a_shelf_that_is_needed_no_more(opening: Open, tmp_path: Path) -> None:
    """Its uploads wait for it; the others go on."""
    async with opening() as engines:
        there = await begin(engines.parts)
        record = replace(
            await engines.parts.find(there), id="there", handle="there", storage="other"
        )
        await engines.parts.database.run(lambda conn: records.insert(conn, record))
    with pytest.raises(ConfigError, match="no known kind"):
        async with opening(more=("other",)):
            pass
    async with opening() as engines:
        with pytest.raises(Unavailable, match="the storage other is not set up here"):
            await engines.parts.put_part(await engines.parts.find("there"), 0, _nothing())
        with pytest.raises(Unavailable):
            await begin(engines.parts, "other")
        assert (await engines.parts.find(await begin(engines.parts))).status == "pending"


async def _nothing() -> AsyncIterator[bytes]:
    """A body that is never read."""
    raise AssertionError
    yield b""
