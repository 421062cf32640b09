"""What is wanted of an upload, and what the settings allow: values, and the record they make."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import PurePosixPath

from filepipe.chunks import Plan
from filepipe.records.uploads import Upload


@dataclass(frozen=True, slots=True)
class UploadRules:
    """What the settings say; durations in seconds, sizes in bytes, None for unlimited."""

    ttl: float
    complete_wait: float
    max_size: int | None
    max_open: int
    finishing_at_once: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client wants to upload; `checksum` is the SHA-256 of the whole as hex."""

    path: PurePosixPath
    plan: Plan
    storage: str
    unique: bool
    checksum: str | None
    webhook_url: str | None


def plan_of(upload: Upload) -> Plan:
    """Into which parts it is cut."""
    assert upload.total_size is not None, "an upload in parts has a length from the beginning"
    return Plan(upload.total_size, upload.chunk_size, upload.total_parts)


def new_record(
    upload_id: str, principal: str, wanted: Wanted, handle: str, expires: float
) -> Upload:
    """The record of an upload that begins now; `handle` is that of its draft."""
    now = time.time()
    folder = str(wanted.path.parent)
    return Upload(
        id=upload_id,
        principal=principal,
        filename=wanted.path.name,
        folder=None if folder == "." else folder,
        storage=wanted.storage,
        handle=handle,
        front="uploads",
        key=None,
        notes="{}",
        total_size=wanted.plan.total_size,
        offset=None,
        chunk_size=wanted.plan.chunk_size,
        total_parts=wanted.plan.count,
        status="pending",
        unique=wanted.unique,
        checksum_sha256=wanted.checksum,
        webhook_url=wanted.webhook_url,
        final_path=None,
        error=None,
        progress=0,
        created=now,
        active=now,
        expires=expires,
    )
