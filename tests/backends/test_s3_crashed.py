"""The process ends, or an answer is lost, at each request in turn; then it starts again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from filepipe.errors import FilepipeError
from filepipe.storage.interface import Draft, PartDraft, Shelf
from filepipe.testing.shelf_steps import streamed
from filepipe_backends import s3 as shelves
from filepipe_backends import s3_segments
from filepipe_backends.s3 import S3Shelf
from tests.backends import memory_bucket
from tests.backends.memory_bucket import Crash, MemoryBucket, Server

NAME = PurePosixPath("f/name")
UNIT = 1024
"""A thousandth of what is real, so that it is fast."""
SIZE = 9 * UNIT
BODY = os.urandom(SIZE)
HOWS = ("crash before", "crash after", "refused", "lost")

Open = Callable[[], Shelf]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server of every shelf that is opened in a test."""
    server = Server()
    monkeypatch.setattr(shelves, "Bucket", lambda place: MemoryBucket(server))
    monkeypatch.setattr(memory_bucket, "SMALLEST", 5 * UNIT)
    monkeypatch.setattr(s3_segments, "SMALLEST", 8 * UNIT)
    return server


@pytest.fixture
def reopen(server: Server, tmp_path: Path) -> Iterator[Open]:
    """A start of the daemon."""
    opened: list[S3Shelf] = []

    def start() -> Shelf:
        opened.append(S3Shelf("bucket", tmp_path / "own"))
        return opened[-1]

    yield start
    for shelf in opened:
        shelf._pool.shutdown()


async def bring(draft: Draft, start: int) -> None:
    """What is missing from `start` on: parts of 5 MiB, or bytes in order."""
    if isinstance(draft, PartDraft):
        for number in range(start // (5 * UNIT), 2):
            part = BODY[number * 5 * UNIT : (number + 1) * 5 * UNIT]
            await draft.store(number, len(part), streamed(part))
        return
    for offset in range(start, SIZE, 3 * UNIT):
        await draft.write(offset, BODY[offset : offset + 3 * UNIT])
        await draft.sync()


async def run(shelf: Shelf, draft: Draft, unique: bool, read: bool) -> str:
    """Read what there is, if that is wanted, give it its name, and let go of it."""
    if read:
        assert (await draft.read(0, 1)) == BODY[:1]
    path = await draft.publish(NAME, unique=unique, size=SIZE)
    await draft.discard()
    return path


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("size", [SIZE, None], ids=["parts", "growing"])
@pytest.mark.parametrize("named", [True, False], ids=["named", "nameless"])
@pytest.mark.parametrize("unique", [True, False], ids=["unique", "replacing"])
async def test_the_end(
    server: Server, reopen: Open, how: str, size: int | None, named: bool, unique: bool
) -> None:
    """Wherever it stops, the next start ends it: one object, whole, and nothing else is left."""
    if not named:
        server.put(str(NAME), b"older", "somebody")
    for step in range(1, 99):
        shelf = reopen()
        draft = await shelf.begin("a", size, NAME if named else None)
        await bring(draft, 0)
        server.at, server.how, server.steps = step, how, 0
        try:
            path = await run(shelf, draft, unique, read=not named)
        except (Crash, FilepipeError):
            assert whole_or_older(server)
            server.at = 0
            path = await again(reopen(), size, unique=unique)
        else:
            server.at = 0
            shelf = reopen()
            for handle in await shelf.drafts():  # as a start does with what no record names
                await shelf.drop(handle)
        assert path == ("f/name" if named or not unique else "f/name (1)")
        assert server.objects.pop(path)[0] == BODY
        if not named and not unique:
            server.put(str(NAME), b"older", "somebody")
        left = {key: body for key, (body, _, _) in server.objects.items()}
        assert left == ({} if named else {"f/name": b"older"})
        assert server.uploads == {}
        if server.steps < step:
            return
    raise AssertionError("it never ends")


async def again(shelf: Shelf, size: int | None, *, unique: bool) -> str:
    """The daemon was told to end it, and does so after its start."""
    draft = await shelf.reopen("a", size)
    path = await draft.publish(NAME, unique=unique, size=SIZE)
    await draft.discard()
    assert await shelf.drafts() == []
    return path


def whole_or_older(server: Server) -> bool:
    """Nothing partial can be seen."""
    seen = [body for key, (body, _, _) in server.objects.items() if key.startswith("f/")]
    return all(body in (BODY, b"older") for body in seen)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("size", [SIZE, None], ids=["parts", "growing"])
async def test_the_beginning(server: Server, reopen: Open, how: str, size: int | None) -> None:
    """What was acknowledged is there after a restart; what was not comes again."""
    for step in range(1, 99):
        server.at, server.how, server.steps = step, how, 0
        acknowledged = 0
        shelf = reopen()
        try:
            draft = await shelf.begin("a", size, NAME)
            acknowledged = 1
            if isinstance(draft, PartDraft):
                await draft.store(0, 5 * UNIT, streamed(BODY[: 5 * UNIT]))
                acknowledged = 5 * UNIT
            else:
                for offset in range(0, 6 * UNIT, 3 * UNIT):
                    await draft.write(offset, BODY[offset : offset + 3 * UNIT])
                    await draft.sync()
                    acknowledged = offset + 3 * UNIT
            await bring(draft, acknowledged)
            acknowledged = SIZE
        except (Crash, FilepipeError):
            pass
        steps, server.at = server.steps, 0
        shelf = reopen()
        if acknowledged:
            draft = await shelf.reopen("a", size)
            if acknowledged < SIZE:
                await bring(draft, acknowledged if acknowledged > 1 else 0)
            assert await draft.publish(NAME, unique=True, size=SIZE) == str(NAME)
            await draft.discard()
            assert server.objects.pop(str(NAME))[0] == BODY
        for handle in await shelf.drafts():
            await shelf.drop(handle)
        assert server.objects == {}
        server.uploads.clear()  # one may be left whose id nobody heard of; the bucket ends it
        if steps < step:
            return
    raise AssertionError("it never ends")


@pytest.mark.parametrize("how", HOWS)
async def test_the_repair(server: Server, reopen: Open, how: str) -> None:
    """A whole that was read and found wrong is taken apart; the part that was wrong comes anew."""
    other = bytes(4 * UNIT)
    for step in range(1, 99):
        draft = await reopen().begin("a", SIZE)
        await bring(draft, 0)
        assert await draft.read(0, 1) == BODY[:1]
        assert isinstance(draft, PartDraft)
        server.at, server.how, server.steps = step, how, 0
        stored = False
        try:
            await draft.store(1, 4 * UNIT, streamed(other))
            stored = True
            await draft.publish(NAME, unique=True, size=SIZE)
        except (Crash, FilepipeError):
            server.at = 0
            draft = await reopen().reopen("a", SIZE)
            assert isinstance(draft, PartDraft)
            if not stored:
                await draft.store(1, 4 * UNIT, streamed(other))
        steps, server.at = server.steps, 0
        assert await draft.publish(NAME, unique=True, size=SIZE) == str(NAME)
        await draft.discard()
        assert server.objects.pop(str(NAME))[0] == BODY[: 5 * UNIT] + other
        assert (server.objects, server.uploads) == ({}, {})
        if steps < step:
            return
    raise AssertionError("it never ends")
