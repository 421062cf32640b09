"""Names on a share are given once and whole, wherever the connection is lost."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path, PurePosixPath

import pytest

from filepipe.errors import Conflict, StorageFailed
from filepipe.testing import opened, store
from filepipe.testing.shelf_steps import content
from filepipe_backends.smb import SmbDraft, SmbShelf
from tests.backends.smb_faults import Loss, shelf_on
from tests.smbd import Smbd

BODY = b"whole" * 1000
NAME = PurePosixPath("some/folder/name.txt")


async def draft_of(shelf: SmbShelf, upload_id: str) -> SmbDraft:
    """A draft with everything in it."""
    draft = await shelf.begin(upload_id, len(BODY))
    await draft.write(0, BODY)
    await draft.sync()
    return draft


async def sweep(
    loss: Loss, sent: bool, step: Callable[[int], Awaitable[None]], start: int = 1, stride: int = 5
) -> int:
    """Do the step again and again, losing another message each time; how many it has."""
    for number in itertools.count(start, stride):
        loss.at(number, sent=sent)
        await step(number)
        if not loss.lost:
            return number - stride
    raise AssertionError


@pytest.mark.parametrize("sent", [False, True], ids=["unsent", "unanswered"])
@pytest.mark.parametrize("unique", [True, False], ids=["unique", "replace"])
async def test_lost_at_each_message(
    samba: Smbd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unique: bool, sent: bool
) -> None:
    """Publishing goes on by itself; one object is there, and nothing of the draft."""
    loss = Loss(monkeypatch)
    async with opened(shelf_on(samba, tmp_path)) as shelf:
        await store(shelf, "older", b"older", str(NAME))

        async def publish(number: int) -> None:
            at, loss._number = loss._number, 0
            draft = await draft_of(shelf, f"u{number}")
            loss._number = at
            path = await draft.publish(NAME, unique=unique, size=len(BODY))
            loss._number = 0
            await draft.discard()
            assert await shelf.drafts() == []
            assert await content(shelf, path) == BODY
            expected = "name (1).txt" if unique else "name.txt"
            assert path == str(NAME.with_name(expected))
            await shelf.remove(path)
            if unique:
                assert await content(shelf, str(NAME)) == b"older"

        assert await sweep(loss, sent, publish, 1 + unique + 2 * sent) > 15


@pytest.mark.parametrize("sent", [False, True], ids=["unsent", "unanswered"])
async def test_begun_and_removed(
    samba: Smbd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bool
) -> None:
    """The rest of what a shelf does is done again by itself, too."""
    loss = Loss(monkeypatch)
    async with opened(shelf_on(samba, tmp_path)) as shelf:

        async def step(number: int) -> None:
            draft = await shelf.begin(f"u{number}", 10)
            await draft.close()
            draft = await shelf.reopen(f"u{number}", 10)
            assert await shelf.drafts() == [f"u{number}"]
            await draft.discard()
            await shelf.drop(f"u{number}")
            assert await shelf.drafts() == []
            await shelf.remove("nothing")
            assert await shelf.check() is None

        assert await sweep(loss, sent, step, 1 + 2 * sent) > 15


async def test_a_restart_in_the_middle(
    samba: Smbd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever ended at any message of a publication finishes it at the next start."""
    loss = Loss(monkeypatch)
    make = shelf_on(samba, tmp_path)

    async def step(number: int) -> None:
        loss._number = 0
        async with opened(make) as shelf:
            draft = await draft_of(shelf, f"u{number}")
            shelf._share._closing.set()  # a connection that is lost now is not made again
            loss.at(number, sent=bool(number % 2))
            name = NAME.with_name(f"{number}.txt")
            try:
                await draft.publish(name, unique=True, size=len(BODY))
            except StorageFailed:
                assert loss.lost
            await draft.close()
        loss._number = 0
        async with opened(make) as shelf:
            draft = await shelf.reopen(f"u{number}", len(BODY))
            assert await draft.publish(name, unique=True, size=len(BODY)) == str(name)
            await draft.discard()
            assert await shelf.drafts() == []
            assert await content(shelf, str(name)) == BODY

    assert await sweep(loss, True, step, stride=3) > 10


async def test_an_object_that_is_read_is_not_lost(
    samba: Smbd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was moved out of the way for an upload that is then cancelled gets its name again."""
    loss = Loss(monkeypatch)
    make = shelf_on(samba, tmp_path)
    seen = set()

    async def step(number: int) -> None:
        loss._number = 0
        async with opened(make) as shelf:
            await store(shelf, f"o{number}", b"older", str(NAME), unique=False)
            kept = await shelf.open(str(NAME))
            draft = await draft_of(shelf, f"u{number}")
            shelf._share._closing.set()
            loss.at(number, sent=True)
            try:
                await draft.publish(NAME, unique=False, size=len(BODY))
            except StorageFailed:
                assert loss.lost
            await draft.close()
            await kept.close()
        loss._number = 0
        async with opened(make) as shelf:
            await shelf.drop(f"u{number}")
            assert await shelf.drafts() == []
            seen.add(found := await content(shelf, str(NAME)))
            assert found in (b"older", BODY)

    await sweep(loss, True, step, 2, stride=3)
    assert seen == {b"older", BODY}


async def test_names_that_cannot_be_had(samba: Smbd, tmp_path: Path) -> None:
    """A folder is not replaced, and a name that is too long is refused."""
    async with opened(shelf_on(samba, tmp_path)) as shelf:
        await store(shelf, "a", b"a", "folder/name")
        draft = await draft_of(shelf, "b")
        for name in ("folder", ":" * 200):
            with pytest.raises(Conflict):
                await draft.publish(PurePosixPath(name), unique=False, size=len(BODY))
        assert await draft.publish(PurePosixPath("folder"), unique=True, size=len(BODY)) == (
            "folder (1)"
        )
        await draft.discard()
