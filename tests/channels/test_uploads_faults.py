"""Uploads on a shelf that fails: what is recorded stays, and everything can be done again."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

import pytest

from filepipe.accountant import Budget
from filepipe.channels.shelves import Shelves
from filepipe.channels.upload_activity import UploadActivity
from filepipe.channels.upload_plan import UploadRules, Wanted
from filepipe.channels.uploads import Uploads
from filepipe.chunks import plan
from filepipe.errors import StorageFailed
from filepipe.records import uploads as records
from filepipe.records.database import Database
from filepipe_backends.local import LocalShelf

TEN = b"0123456789"


@contextlib.asynccontextmanager
async def engine(folder: Path) -> AsyncIterator[Uploads]:
    """An engine over real files, as after a start."""
    database = await Database.open(folder / "uploads.db")
    shelf = LocalShelf(str(folder / "objects"), folder / "parts")
    rules = UploadRules(60.0, 5.0, None, 100, 2)
    shelves = Shelves({"local": shelf}, "local")
    uploads = Uploads(
        database, shelves, Budget("disk", None), rules, lambda _: None, UploadActivity()
    )
    try:
        await uploads.recover()
        await uploads.tidy()
        yield uploads
        await uploads.aclose()
    finally:
        await shelf.aclose()
        await database.aclose()


async def sent(body: bytes = TEN) -> AsyncIterator[bytes]:
    """A body in one chunk."""
    yield body


def wanted(size: int) -> Wanted:
    """An upload of parts of ten bytes."""
    parts = plan(size, 10, balanced=False)
    return Wanted(PurePosixPath("f"), parts, "local", unique=True, checksum=None, webhook_url=None)


async def test_a_flush_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The part is refused; sent again it is taken, and the upload can be completed."""
    async with engine(tmp_path) as uploads:
        upload = await uploads.begin("p", wanted(20))
        await uploads.put_part(upload, 0, sent())
        with monkeypatch.context() as broken:

            def fail(descriptor: int) -> None:
                raise OSError(errno.EIO, "broken")

            broken.setattr(os, "fdatasync", fail)
            with pytest.raises(StorageFailed):
                await uploads.put_part(upload, 1, sent())
        await uploads.put_part(upload, 1, sent())
        assert (await uploads.complete(upload.id)).status == "complete"
    assert (tmp_path / "objects" / "f").read_bytes() == 2 * TEN


async def test_a_draft_that_is_gone(tmp_path: Path) -> None:
    """An upload whose bytes somebody has removed fails; the daemon starts all the same."""
    async with engine(tmp_path) as uploads:
        upload = await uploads.begin("p", wanted(10))
        await uploads.put_part(upload, 0, sent())
        await uploads._run(lambda conn: records.begin_finalizing(conn, upload.id))
    (tmp_path / "parts" / upload.handle).unlink()
    async with engine(tmp_path) as uploads:
        assert (await uploads.find(upload.id)).status == "failed"


async def test_an_upload_that_was_replaced(tmp_path: Path) -> None:
    """Removing it leaves the file of the one that has taken its place."""
    async with engine(tmp_path) as uploads:
        found = []
        for _ in range(2):
            upload = await uploads.begin("p", dataclasses.replace(wanted(10), unique=False))
            await uploads.put_part(upload, 0, sent())
            found.append(await uploads.complete(upload.id))
        await uploads.cancel(found[0].id)
        assert (tmp_path / "objects" / "f").read_bytes() == TEN
        await uploads.cancel(found[1].id)
        assert not (tmp_path / "objects" / "f").exists()


async def test_a_record_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No draft stays without one."""

    def fail(*_: object) -> None:
        raise StorageFailed("broken")

    async with engine(tmp_path) as uploads:
        monkeypatch.setattr(records, "insert", fail)
        with pytest.raises(StorageFailed):
            await uploads.begin("p", wanted(10))
        assert not [path for path in (tmp_path / "parts").iterdir() if path.is_file()]
