"""Events that webhooks are still to be told, as rows; each function is part of a transaction.

A row is added in the very transaction that makes it true, and goes once it was delivered or given
up. It copies what it tells of the upload, which may be gone by then.
"""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass, fields, replace
from typing import Literal

Kind = Literal["upload.complete", "upload.failed"]


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to an upload, and who is to hear of it; times as in `records.uploads`."""

    id: str
    """The same at each attempt, so that the target can tell what it has had already."""
    url: str
    kind: Kind
    upload: str
    filename: str
    folder: str | None
    total_size: int
    storage: str
    final_path: str | None
    error: str | None
    happened: float
    attempts: int
    """How many have failed."""
    due: float
    """When the next one is."""


_NAMES = ", ".join(field.name for field in fields(Event))
_INSERT = f"INSERT INTO outbox ({_NAMES}) VALUES ({', '.join('?' * len(fields(Event)))})"  # noqa: S608


def insert(connection: sqlite3.Connection, event: Event) -> None:
    """Add an event, whose id is new, in place of the one of its kind that its upload has here.

    So there are never more of them than uploads, however often one of these fails; and a target
    that does not listen is not asked more often by it.
    """
    older = connection.execute(
        "DELETE FROM outbox WHERE upload = ? AND kind = ? RETURNING attempts, due",
        (event.upload, event.kind),
    ).fetchall()
    if older:
        attempts, due = older[0]
        event = replace(event, attempts=attempts, due=due)
    connection.execute(_INSERT, astuple(event))


def due(connection: sqlite3.Connection, now: float, limit: int) -> list[Event]:
    """What is to be delivered now, the longest overdue first."""
    rows = connection.execute(
        f"SELECT {_NAMES} FROM outbox WHERE due <= ? ORDER BY due, id LIMIT ?",  # noqa: S608
        (now, limit),
    )
    return [Event(*row) for row in rows]


def next_due(connection: sqlite3.Connection) -> float | None:
    """When the first of all is due."""
    found: float | None = connection.execute("SELECT min(due) FROM outbox").fetchone()[0]
    return found


def put_off(connection: sqlite3.Connection, event_id: str, until: float) -> None:
    """Note that an attempt has failed, and when the next one is."""
    connection.execute(
        "UPDATE outbox SET attempts = attempts + 1, due = ? WHERE id = ?", (until, event_id)
    )


def remove(connection: sqlite3.Connection, event_id: str) -> None:
    """Forget an event."""
    connection.execute("DELETE FROM outbox WHERE id = ?", (event_id,))
