"""The steps of an upload that look and then act: each is part of one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Protocol, TypeVar

from filepipe.errors import BadRequest, Busy, Conflict, NotFound, OverBudget
from filepipe.records import uploads as records
from filepipe.records.uploads import Upload

T = TypeVar("T")

TAKES_PARTS = ("pending", "failed")
"""The statuses in which parts may be stored, or forgotten."""


class Run(Protocol):
    """Does one transaction, as `Database.run`."""

    async def __call__(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns."""


def found(connection: sqlite3.Connection, upload_id: str) -> Upload:
    """The record of an upload in parts. Raises `NotFound`."""
    upload = records.find(connection, upload_id)
    if upload is None or upload.offset is not None:
        raise NotFound(f"Upload {upload_id} not found")
    return upload


def insert(connection: sqlite3.Connection, upload: Upload, most: int) -> None:
    """Add the upload, unless its principal has `most` open ones. Raises `OverBudget`."""
    if records.count_open(connection, upload.principal) >= most:
        raise OverBudget("too many open uploads, finish or cancel some", "uploads")
    records.insert(connection, upload)


def numbers(connection: sqlite3.Connection, upload_id: str) -> list[int]:
    """Those of the stored parts. Raises `NotFound`, `Busy` if it was completed meanwhile."""
    if found(connection, upload_id).status == "complete":
        raise Busy("the upload has just been completed, ask again")
    return [part.number for part in records.parts(connection, upload_id)]


def forget_part(connection: sqlite3.Connection, upload_id: str, number: int) -> bool:
    """Make a part one that is not stored; False once the upload takes no parts any more."""
    if found(connection, upload_id).status not in TAKES_PARTS:
        return False
    records.forget_part(connection, upload_id, number)
    return True


def begin_finishing(connection: sqlite3.Connection, upload_id: str) -> bool:
    """Whether the upload is to be finished now, by whoever asks; False once it is complete.

    Raises `BadRequest` while a part is missing.
    """
    upload = found(connection, upload_id)
    if upload.status in TAKES_PARTS:
        stored = records.stored_parts(connection, upload_id)
        if stored < upload.total_parts:
            raise BadRequest(f"Not all parts uploaded: {stored}/{upload.total_parts} complete")
        records.begin_finalizing(connection, upload_id)
    return upload.status != "complete"


def complete(connection: sqlite3.Connection, upload_id: str, path: str, expires: float) -> None:
    """The upload is at `path` now, and no earlier one any more that was there."""
    records.displace(connection, found(connection, upload_id).storage, path)
    records.complete(connection, upload_id, path, expires)


def remove(connection: sqlite3.Connection, upload_id: str, since: float | None = None) -> Upload:
    """Forget the upload unless it is complete; what it was.

    With `since`, a time, only if it had expired by then. Raises `NotFound`, and `Conflict` while it
    is being finished, or where somebody has gone on with it.
    """
    upload = found(connection, upload_id)
    if upload.status == "finalizing":
        raise Conflict("Upload is finalizing and cannot be cancelled")
    if since is not None and upload.expires > since:
        raise Conflict("somebody has gone on with the upload")
    if upload.status != "complete":
        records.delete(connection, upload_id)
    return upload
