"""The ids of uploads that are gone, as rows; each function is part of a transaction of its caller.

Whoever asks for one hears that it is gone, and not that there never was one.
"""

from __future__ import annotations

import sqlite3


def bury(connection: sqlite3.Connection, upload_id: str, now: float) -> None:
    """Remember that there was an upload of this id."""
    connection.execute("INSERT OR REPLACE INTO tombstones VALUES (?, ?)", (upload_id, now))


def is_buried(connection: sqlite3.Connection, upload_id: str) -> bool:
    """Whether there was one."""
    query = "SELECT 1 FROM tombstones WHERE id = ?"
    return connection.execute(query, (upload_id,)).fetchone() is not None


def forget(connection: sqlite3.Connection, before: float) -> None:
    """Remember only those that went at `before` or later."""
    connection.execute("DELETE FROM tombstones WHERE gone < ?", (before,))
