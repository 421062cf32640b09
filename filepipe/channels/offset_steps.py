"""The steps of an upload by its offset that look and then act: each is part of one transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from filepipe.channels.offset_plan import PARTIAL, is_whole, notes_of, offset_of
from filepipe.errors import BadRequest, Conflict, Gone, NotFound, WrongLength, WrongOffset
from filepipe.records import offsets, tombstones
from filepipe.records import uploads as records
from filepipe.records.uploads import Upload


def found(connection: sqlite3.Connection, upload_id: str) -> Upload:
    """The record. Raises `NotFound`, or `Gone` where there was one."""
    upload = records.find(connection, upload_id)
    if upload is not None and upload.offset is not None:
        return upload
    if tombstones.is_buried(connection, upload_id):
        raise Gone("the upload is gone")
    raise NotFound("there is no such upload")


def admit(
    connection: sqlite3.Connection, upload_id: str, offset: int, length: int | None
) -> Upload:
    """The record of an upload that goes on at `offset`, with a length that may be new.

    Of one that takes no bytes any more it is only looked at. Raises `WrongOffset`, `WrongLength`.
    """
    upload = found(connection, upload_id)
    if upload.status not in ("pending", "failed"):
        return upload
    if offset != upload.offset:
        raise WrongOffset(offset_of(upload), offset)
    return upload if length is None else set_length(connection, upload_id, length)


def set_length(connection: sqlite3.Connection, upload_id: str, length: int) -> Upload:
    """Note how long the upload is, once; the record then. Raises `WrongLength`."""
    upload = found(connection, upload_id)
    if upload.total_size is not None and upload.total_size != length:
        raise WrongLength(f"the upload was said to have {upload.total_size} bytes, not {length}")
    if length < offset_of(upload):
        raise WrongLength(f"the upload has {upload.offset} bytes already, which are more")
    if upload.total_size is None:
        offsets.set_length(connection, upload_id, length)
    return found(connection, upload_id)


def partials(
    connection: sqlite3.Connection, principal: str, upload_ids: Sequence[str]
) -> list[Upload]:
    """The records of what is to be put together, in this order.

    Raises `NotFound`, `Gone`, `BadRequest` where one is no part of another or not whole.
    """
    uploads = [found(connection, upload_id) for upload_id in upload_ids]
    for upload in uploads:
        if upload.principal != principal:
            raise NotFound("there is no such upload")
        if PARTIAL not in notes_of(upload).items():
            raise BadRequest("only partial uploads can be put together")
        if not is_whole(upload):
            raise BadRequest("a partial upload is not whole yet")
    return uploads


def begin_finishing(connection: sqlite3.Connection, upload_id: str) -> Upload | None:
    """The record of an upload that is to be finished now, by whoever asks; None once it is.

    What has no length yet has that which is here. Raises `BadRequest` where bytes are missing.
    """
    upload = found(connection, upload_id)
    if upload.status == "complete":
        return None
    if upload.status != "finalizing":
        whole = set_length(connection, upload_id, upload.total_size or offset_of(upload))
        if whole.offset != whole.total_size:
            raise BadRequest(f"only {whole.offset} of {whole.total_size} bytes are here")
        records.begin_finalizing(connection, upload_id)
    return found(connection, upload_id)


def complete(connection: sqlite3.Connection, upload_id: str, path: str, expires: float) -> Upload:
    """The upload is at `path` now, and no earlier one any more that was there; its record."""
    records.displace(connection, found(connection, upload_id).storage, path)
    records.complete(connection, upload_id, path, expires)
    return found(connection, upload_id)


def remove(connection: sqlite3.Connection, upload_id: str) -> Upload:
    """Forget the upload, and remember that there was one; what it was."""
    upload = found(connection, upload_id)
    records.delete(connection, upload_id)
    tombstones.bury(connection, upload_id, time.time())
    return upload


def expired(connection: sqlite3.Connection, upload_id: str, since: float | None) -> Upload:
    """The record, if it had expired at `since`. Raises `Conflict` where somebody has gone on."""
    upload = found(connection, upload_id)
    if since is not None and upload.expires > since:
        raise Conflict("somebody has gone on with the upload")
    return upload


def remove_open(connection: sqlite3.Connection, upload_id: str, since: float | None) -> Upload:
    """Forget an upload that is not complete. Raises `Conflict` if it is, or as `expired` does."""
    upload = expired(connection, upload_id, since)
    if upload.status not in ("pending", "failed"):
        raise Conflict("the upload is being finished and cannot be removed")
    return remove(connection, upload_id)
