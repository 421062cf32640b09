"""Uploads and their stored parts, as rows; each function is part of a transaction of its caller.

An upload comes in parts, in any order, or by its offset, from the first byte to the last. A part
that is not stored has no row. `status` follows `MOVES`, and nothing else assigns it. Events of an
upload that is gone raise `NotFound`.
Times are seconds of the wall clock since 1970, since they outlive the process.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal

from filepipe.errors import Conflict, NotFound
from filepipe.records import outbox

Status = Literal["pending", "finalizing", "complete", "failed"]
Event = Literal["store", "finalize", "complete", "fail"]

MOVES: Mapping[Event, Mapping[Status, Status]] = {
    "store": {"pending": "pending", "failed": "failed"},
    "finalize": {"pending": "finalizing", "failed": "finalizing"},
    "complete": {"finalizing": "complete"},
    "fail": {"pending": "failed", "finalizing": "failed"},
}
"""What each event makes of a status; where it makes nothing, the event is refused."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload; sizes in bytes."""

    id: str
    principal: str
    """Whose it is."""
    filename: str
    folder: str | None
    storage: str
    """The name of the backend that holds it."""
    handle: str
    """What the backend finds the draft again by."""
    front: str
    """Who understands `notes`, and whose answers the upload gets."""
    key: str | None
    """Where it is read while it arrives, and afterwards."""
    notes: str
    """What the front has to remember: a JSON object of texts."""
    total_size: int | None
    """None as long as nobody has said it."""
    offset: int | None
    """How much is here, durably; None for an upload in parts."""
    chunk_size: int
    total_parts: int
    status: Status
    unique: bool
    """Whether the final name is made unique, instead of refused where there is a file already."""
    checksum_sha256: str | None
    """What the whole must have, 64 hex digits."""
    webhook_url: str | None
    final_path: str | None
    """Where it is, once it is complete."""
    error: str | None
    """Why it failed."""
    progress: int
    """Of finalizing, in percent."""
    created: float
    active: float
    """When something of it was stored last."""
    expires: float
    replaced: float | None = None
    """When a later upload has taken the place of its file; there is no `final_path` since."""


@dataclass(frozen=True, slots=True)
class Part:
    """One stored part; `sha256` is 64 hex digits, `uploaded` when it was stored."""

    number: int
    size: int
    sha256: str
    uploaded: float


def _names(record: type[Upload | Part]) -> str:
    return ", ".join(f'"{field.name}"' for field in fields(record))


_UPLOAD = _names(Upload)
_PART = _names(Part)
_INSERT = f"INSERT INTO uploads ({_UPLOAD}) VALUES ({', '.join('?' * len(fields(Upload)))})"  # noqa: S608
_SELECT = f"SELECT {_UPLOAD} FROM uploads"  # noqa: S608
_STORE = f"INSERT OR REPLACE INTO parts (upload, {_PART}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
_PARTS = f"SELECT {_PART} FROM parts WHERE upload = ?"  # noqa: S608


def select(
    connection: sqlite3.Connection, which: str, values: Sequence[object] = ()
) -> list[Upload]:
    """The uploads of which the text `which`, what follows SELECT … FROM, is true."""
    return _uploads(connection.execute(f"{_SELECT} {which}", tuple(values)))


def _uploads(rows: sqlite3.Cursor) -> list[Upload]:
    names = [field.name for field in fields(Upload)]
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return [Upload(**{**values, "unique": bool(values["unique"])}) for values in found]


def insert(connection: sqlite3.Connection, upload: Upload) -> None:
    """Add an upload, whose id is new."""
    connection.execute(_INSERT, tuple(asdict(upload).values()))


def find(connection: sqlite3.Connection, upload_id: str) -> Upload | None:
    """The upload with this id."""
    found = _uploads(connection.execute(f"{_SELECT} WHERE id = ?", (upload_id,)))
    return found[0] if found else None


def final_path(connection: sqlite3.Connection, upload_id: str) -> str | None:
    """Where a complete upload is; None where another one has taken its place.

    Raises `NotFound` once it is gone.
    """
    upload = find(connection, upload_id)
    if upload is None:
        raise NotFound("there is no such upload")
    return upload.final_path


def listing(
    connection: sqlite3.Connection, principal: str, limit: int, before: str | None = None
) -> list[Upload]:
    """The uploads in parts of a principal, the newest first; of those after `before`, an id.

    Raises `NotFound` where there is no such upload.
    """
    last = (float("inf"), "")
    if before is not None:
        found = find(connection, before)
        if found is None or found.principal != principal:
            raise NotFound("there is no such upload")
        last = (found.created, found.id)
    rows = connection.execute(
        f"{_SELECT} WHERE principal = ? AND offset IS NULL AND (created, id) < (?, ?)"
        " ORDER BY created DESC, id DESC LIMIT ?",
        (principal, *last, limit),
    )
    return _uploads(rows)


def delete(connection: sqlite3.Connection, upload_id: str) -> bool:
    """Forget an upload and its parts; whether there was one."""
    return connection.execute("DELETE FROM uploads WHERE id = ?", (upload_id,)).rowcount > 0


# -- parts


def store_part(connection: sqlite3.Connection, upload_id: str, part: Part, expires: float) -> int:
    """Note that a part is stored, and that the upload lives on; how many parts are stored now.

    A part that was stored already is replaced. Raises `Conflict` while the upload is finalizing
    and once it is complete.
    """
    if not move(connection, upload_id, "store", active=part.uploaded, expires=expires):
        raise Conflict("the upload takes no parts any more")
    connection.execute(_STORE, (upload_id, part.number, part.size, part.sha256, part.uploaded))
    return stored_parts(connection, upload_id)


def forget_part(connection: sqlite3.Connection, upload_id: str, number: int) -> None:
    """Make a part one that is not stored, if it is stored."""
    connection.execute("DELETE FROM parts WHERE upload = ? AND number = ?", (upload_id, number))


def part(connection: sqlite3.Connection, upload_id: str, number: int) -> Part | None:
    """A stored part."""
    row = connection.execute(f"{_PARTS} AND number = ?", (upload_id, number)).fetchone()
    return Part(*row) if row else None


def parts(connection: sqlite3.Connection, upload_id: str) -> list[Part]:
    """Every stored part, by number."""
    return [Part(*row) for row in connection.execute(f"{_PARTS} ORDER BY number", (upload_id,))]


def stored_parts(connection: sqlite3.Connection, upload_id: str) -> int:
    """How many parts are stored."""
    found = connection.execute(
        "SELECT count(*) FROM parts WHERE upload = ?", (upload_id,)
    ).fetchone()
    return int(found[0])


def touch(connection: sqlite3.Connection, upload_id: str, active: float, expires: float) -> None:
    """Let an upload live on."""
    connection.execute(
        "UPDATE uploads SET active = ?, expires = ? WHERE id = ?", (active, expires, upload_id)
    )


# -- finalizing


def begin_finalizing(connection: sqlite3.Connection, upload_id: str) -> bool:
    """Let nobody store parts any more; False where somebody else finalizes, or has done so."""
    return move(connection, upload_id, "finalize", error=None, progress=0)


def progress(connection: sqlite3.Connection, upload_id: str, percent: int) -> None:
    """Note how much of the finalizing is done; nothing once it is over."""
    query = "UPDATE uploads SET progress = ? WHERE id = ? AND status = 'finalizing'"
    connection.execute(query, (percent, upload_id))


def complete(
    connection: sqlite3.Connection, upload_id: str, final_path: str, expires: float
) -> bool:
    """End the finalizing well, with an event; False where nobody was finalizing."""
    moved = move(
        connection, upload_id, "complete", final_path=final_path, expires=expires, progress=100
    )
    if moved:
        _announce(connection, upload_id, "upload.complete")
    return moved


def displace(connection: sqlite3.Connection, storage: str, final_path: str) -> None:
    """Another upload takes the place of the one that is at `final_path`, if there is one."""
    connection.execute(
        "UPDATE uploads SET final_path = NULL, replaced = ? WHERE final_path = ? AND storage = ?",
        (time.time(), final_path, storage),
    )


def fail(connection: sqlite3.Connection, upload_id: str, error: str) -> bool:
    """Note why an upload failed, with an event; it may get parts and be finalized again."""
    moved = move(connection, upload_id, "fail", error=error)
    if moved:
        _announce(connection, upload_id, "upload.failed")
    return moved


def reset_finalizing(
    connection: sqlite3.Connection, error: str, *, by_offset: bool = False
) -> list[Upload]:
    """Let all fail that a daemon which is gone was finalizing; they, as they are now.

    All of one sort: in parts, or by the offset.
    There is no event: they are finalized again at once, and that has an end to tell of.
    """
    found = connection.execute(
        "SELECT id FROM uploads WHERE status = 'finalizing' AND (offset IS NOT NULL) = ?",
        (by_offset,),
    ).fetchall()
    for (upload_id,) in found:
        move(connection, upload_id, "fail", error=error)
    return [upload for (upload_id,) in found if (upload := find(connection, upload_id))]


def _announce(connection: sqlite3.Connection, upload_id: str, kind: outbox.Kind) -> None:
    """Let the upload's webhook, if it has one, be told of what has just happened."""
    upload = find(connection, upload_id)
    if upload is None or upload.webhook_url is None:
        return
    assert upload.total_size is not None, "an upload has ended, and its length is not known"
    now = time.time()
    event = outbox.Event(
        id=f"msg_{uuid.uuid4().hex}",
        url=upload.webhook_url,
        kind=kind,
        upload=upload.id,
        filename=upload.filename,
        folder=upload.folder,
        total_size=upload.total_size,
        storage=upload.storage,
        final_path=upload.final_path,
        error=upload.error,
        happened=now,
        attempts=0,
        due=now,
    )
    outbox.insert(connection, event)


def move(
    connection: sqlite3.Connection, upload_id: str, event: Event, **changes: float | str | None
) -> bool:
    """Whether `MOVES` let the event happen; `changes` are columns that change with it."""
    row = connection.execute("SELECT status FROM uploads WHERE id = ?", (upload_id,)).fetchone()
    if row is None:
        raise NotFound("there is no such upload")
    after = MOVES[event].get(row[0])
    if after is None:
        return False
    assignments = ", ".join(f'"{name}" = ?' for name in changes)
    connection.execute(
        f"UPDATE uploads SET status = ?, {assignments} WHERE id = ?",  # noqa: S608
        (after, *changes.values(), upload_id),
    )
    return True


# -- limits and expiry


def expired(connection: sqlite3.Connection, now: float, limit: int) -> list[Upload]:
    """Uploads in parts whose time is over, the oldest first; none that is finalized or complete."""
    rows = connection.execute(
        f"{_SELECT} WHERE expires <= ? AND offset IS NULL AND status IN ('pending', 'failed')"
        " ORDER BY expires, id LIMIT ?",
        (now, limit),
    )
    return _uploads(rows)


def open_in_parts(connection: sqlite3.Connection) -> list[Upload]:
    """Every upload in parts that is not complete."""
    return _uploads(connection.execute(f"{_SELECT} WHERE status != 'complete' AND offset IS NULL"))


def handles(connection: sqlite3.Connection) -> set[str]:
    """What the drafts are found by that are still needed."""
    rows = connection.execute("SELECT handle FROM uploads WHERE status != 'complete'")
    return {handle for (handle,) in rows}


def storages(connection: sqlite3.Connection) -> set[str]:
    """The storages in which there is an upload."""
    return {name for (name,) in connection.execute("SELECT DISTINCT storage FROM uploads")}


def count_open(connection: sqlite3.Connection, principal: str) -> int:
    """How many uploads of a principal are not complete."""
    return _of_open(connection, principal, "count(*)")


def bytes_open(connection: sqlite3.Connection, principal: str) -> int:
    """How many bytes these may come to, as far as they have said it."""
    return _of_open(connection, principal, "total(total_size)")


def _of_open(connection: sqlite3.Connection, principal: str, figure: str) -> int:
    query = f"SELECT {figure} FROM uploads WHERE principal = ? AND status != 'complete'"  # noqa: S608
    return int(connection.execute(query, (principal,)).fetchone()[0])
