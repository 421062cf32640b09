"""Uploads that grow by their offset, as rows; what they share with others is in `uploads`.

Each function is part of a transaction of its caller.
"""

from __future__ import annotations

import sqlite3

from filepipe.errors import Conflict
from filepipe.records.uploads import Upload, move, select


def append(
    connection: sqlite3.Connection, upload_id: str, offset: int, active: float, expires: float
) -> None:
    """Note that the first `offset` bytes are here, and that the upload lives on.

    Raises `NotFound`, and `Conflict` while the upload is finalizing and once it is complete.
    """
    if not move(connection, upload_id, "store", offset=offset, active=active, expires=expires):
        raise Conflict("the upload takes no bytes any more")


def set_length(connection: sqlite3.Connection, upload_id: str, total_size: int) -> None:
    """Note how long the upload is, which nobody knew."""
    connection.execute("UPDATE uploads SET total_size = ? WHERE id = ?", (total_size, upload_id))


def unfinished(connection: sqlite3.Connection) -> list[Upload]:
    """Those that a start has to do with: not complete, or complete with a key; the oldest first."""
    return select(
        connection,
        "WHERE offset IS NOT NULL AND (status != 'complete' OR key IS NOT NULL)"
        " ORDER BY created, id",
    )


def expired(connection: sqlite3.Connection, now: float, limit: int) -> list[Upload]:
    """Those whose time is over, the oldest first; also complete ones."""
    return select(
        connection,
        "WHERE expires <= ? AND offset IS NOT NULL AND status != 'finalizing'"
        " ORDER BY expires, id LIMIT ?",
        (now, limit),
    )
