"""A share whose server goes and comes back, and a folder that only one daemon may have."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from filepipe.errors import StorageAway
from filepipe.testing import opened, store
from filepipe.testing.shelf_steps import content
from filepipe_backends import smb_link, smb_share, smb_transport
from filepipe_backends.smb import SmbShelf
from filepipe_backends.smb_names import INSIDE
from tests import smbd
from tests.backends.smb_faults import shelf_on
from tests.between import Between
from tests.conftest import eventually
from tests.smbd import Smbd


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Smbd]:
    """A server that these tests may stop, as long as they start it again."""
    smbd.need()
    server = Smbd(tmp_path_factory.mktemp("own-samba"))
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told what was known before."""
    monkeypatch.setattr(smb_share, "FRESH", smb_share.PAUSE)


async def test_a_server_that_restarts(own: Smbd, tmp_path: Path) -> None:
    """Who waits for it goes on when it is back; a draft that is not flushed begins anew."""
    async with opened(shelf_on(own, tmp_path)) as shelf:
        draft = await shelf.begin("a", 2000)
        await draft.write(0, b"1" * 1000)
        await draft.sync()
        own.kill()
        writing = asyncio.create_task(draft.write(1000, b"2" * 1000))
        await asyncio.sleep(0.3)
        assert not writing.done()
        await asyncio.to_thread(own.start)
        await writing
        own.kill()
        await asyncio.to_thread(own.start)
        with pytest.raises(StorageAway, match="before all was on the disk"):
            await draft.sync()
        await draft.close()
        draft = await shelf.reopen("a", 2000)
        await draft.write(1000, b"3" * 1000)
        path = await draft.publish(PurePosixPath("a"), unique=True, size=2000)
        await draft.discard()
        assert await content(shelf, path) == b"1" * 1000 + b"3" * 1000


async def test_a_server_that_is_not_there(
    own: Smbd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon starts without it, says so, refuses in time, and uses it once it is there."""
    monkeypatch.setattr(smb_share, "PATIENCE", 0.5)
    own.kill()
    async with opened(shelf_on(own, tmp_path)) as shelf:
        before = time.monotonic()
        trouble = await shelf.check()
        assert trouble == "the storage is away: the SMB server cannot be reached"
        with pytest.raises(StorageAway, match="cannot be reached"):
            await shelf.begin("a", 10)
        assert time.monotonic() - before < 10
        await asyncio.to_thread(own.start)
        await asyncio.sleep(smb_share.PAUSE)
        assert await shelf.check() is None
        await store(shelf, "b", b"body", "b")


async def test_a_server_that_hangs(
    own: Smbd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it for ever, and the event loop not at all."""
    for module, name, value in (
        (smb_share, "PATIENCE", 0.5), (smb_transport, "SILENCE", 0.4),
        (smb_link, "CONNECT", 0.5), (smb_transport, "CONNECT", 0.5),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    async with opened(shelf_on(own, tmp_path)) as shelf:
        draft = await shelf.begin("a", 10)
        own.signal(signal.SIGSTOP)
        try:
            with pytest.raises(StorageAway):
                await asyncio.wait_for(draft.write(0, b"0123456789"), 20)
            trouble = await asyncio.wait_for(shelf.check(), 10)
            assert trouble == "the storage is away: the SMB server does not answer as it should"
        finally:
            own.signal(signal.SIGCONT)
        await asyncio.sleep(smb_share.PAUSE)
        await draft.write(0, b"0123456789")
        await draft.publish(PurePosixPath("a"), unique=True, size=10)
        await draft.discard()


async def test_connections_that_are_refused(own: Smbd, tmp_path: Path) -> None:
    """What is closed before a word was said is tried again."""
    between = Between(own.port)
    try:
        async with opened(shelf_on(own, tmp_path, between.port)) as shelf:
            between.refusing = True
            between.cut()
            storing = asyncio.create_task(store(shelf, "a", b"body", "a"))
            await asyncio.to_thread(eventually, lambda: between.accepted > 2)
            between.refusing = False
            assert await content(shelf, await storing) == b"body"
    finally:
        between.close()


async def test_a_slow_server(own: Smbd, tmp_path: Path) -> None:
    """A server that says nothing for a while loses nothing."""
    between = Between(own.port)
    body = os.urandom(2_000_000)
    try:
        async with opened(shelf_on(own, tmp_path, between.port)) as shelf:
            draft = await shelf.begin("a", len(body))
            between.stall()
            writing = asyncio.create_task(draft.write(0, body))
            await asyncio.sleep(0.5)
            assert not writing.done()
            between.flow()
            await writing
            path = await draft.publish(PurePosixPath("a"), unique=True, size=len(body))
            await draft.discard()
            assert await content(shelf, path) == body
            assert between.accepted == 1
    finally:
        between.close()


async def test_another_daemon_takes_the_folder(
    own: Smbd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever lost the connection and finds another daemon there leaves the folder alone."""
    monkeypatch.setattr(smb_share, "YIELD", 0.3)
    between = Between(own.port)
    try:
        async with opened(shelf_on(own, tmp_path, between.port)) as shelf:
            between.refusing = True
            between.cut()
            folder = f"{tmp_path.parent.name}-{tmp_path.name}"
            async with opened(lambda: SmbShelf(own.location(folder), tmp_path / "two")):
                between.refusing = False
                await asyncio.sleep(smb_share.PAUSE)
                with pytest.raises(StorageAway, match="another filepipe keeps its uploads"):
                    await shelf.drafts()
            await asyncio.sleep(smb_share.PAUSE)
            assert await shelf.drafts() == []
    finally:
        between.close()


async def test_a_disk_that_is_not_mounted(own: Smbd, tmp_path: Path) -> None:
    """A server that comes back without the folder gets no new one made."""
    async with opened(shelf_on(own, tmp_path)) as shelf:
        await store(shelf, "a", b"body", "a")
        own.kill()
        folder = own.share / f"{tmp_path.parent.name}-{tmp_path.name}"
        folder.rename(tmp_path / "unmounted")
        await asyncio.to_thread(own.start)
        assert await shelf.check() == "the storage is away: the folder of uploads is gone"
        assert not folder.exists()
        (folder / INSIDE).mkdir(parents=True)
        await asyncio.sleep(smb_share.PAUSE)
        assert "not the one that was there at the start" in (await shelf.check() or "")
        shutil.rmtree(folder)
        (tmp_path / "unmounted").rename(folder)
        await asyncio.sleep(smb_share.PAUSE)
        assert await content(shelf, "a") == b"body"
