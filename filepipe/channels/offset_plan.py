"""What is wanted of an upload that grows by its offset: values, and the record they make."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from filepipe.channels.channel import Metadata
from filepipe.keys import Key
from filepipe.records.uploads import Upload

KEYS = PurePosixPath("keys")
"""The folder of what was uploaded without a name of its own."""

PARTIAL = ("concat", "partial")
"""The note of an upload that is only there to be put together with others."""

FINAL = ("concat", "final")
"""The note of an upload that is put together."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client wants to upload.

    `front` is the protocol whose answers it gets, `key` where it can be read, if anywhere. With
    `path` None it is kept under `KEYS`. `length` is in bytes, None while nobody knows it. `notes`
    are what the front has to remember.
    """

    principal: str
    front: str
    key: Key | None
    path: PurePosixPath | None
    unique: bool
    length: int | None
    meta: Metadata
    notes: Mapping[str, str]
    storage: str


def new_record(upload_id: str, wish: Wish, handle: str, ttl: float) -> Upload:
    """The record of an upload that begins now and lives for `ttl` seconds."""
    now = time.time()
    path = path_of(upload_id, wish)
    folder = str(path.parent)
    return Upload(
        id=upload_id,
        principal=wish.principal,
        filename=path.name,
        folder=None if folder == "." else folder,
        storage=wish.storage,
        handle=handle,
        front=wish.front,
        key=wish.key,
        notes=json.dumps({"notes": dict(wish.notes), "meta": asdict(wish.meta)}),
        total_size=wish.length,
        offset=0,
        chunk_size=0,
        total_parts=0,
        status="pending",
        unique=wish.unique,
        checksum_sha256=None,
        webhook_url=None,
        final_path=None,
        error=None,
        progress=0,
        created=now,
        active=now,
        expires=now + ttl,
    )


def in_log(upload_id: str) -> str:
    """What a log may say of an upload: with its whole id anybody could write to some."""
    return f"{upload_id[:8]}…"


def path_of(upload_id: str, wish: Wish) -> PurePosixPath:
    """Where the object will be, below the shelf's root."""
    return KEYS / upload_id if wish.path is None else wish.path


def is_only_written(wish: Wish) -> bool:
    """Whether nobody asks for its bytes before it has its name: neither another nor a digest."""
    return wish.front == "tus" and PARTIAL not in wish.notes.items()


def offset_of(upload: Upload) -> int:
    """How many bytes of it are here, durably."""
    assert upload.offset is not None, "an upload in parts has no offset"
    return upload.offset


def notes_of(upload: Upload) -> dict[str, str]:
    """What its front has to remember."""
    notes: dict[str, str] = json.loads(upload.notes)["notes"]
    return notes


def meta_of(upload: Upload) -> Metadata:
    """What its readers are told."""
    meta: dict[str, Any] = json.loads(upload.notes)["meta"]
    described = Metadata(**{**meta, "labels": tuple(meta["labels"])})
    return replace(described, length=upload.total_size)


def ends_by_itself(upload: Upload) -> bool:
    """Whether it is complete when its last byte is here, without being asked for."""
    return upload.front == "tus" and PARTIAL not in notes_of(upload).items()


def is_whole(upload: Upload) -> bool:
    """Whether every byte is here, of a length that is known."""
    return upload.offset == upload.total_size
