"""What a webhook is sent: JSON, signed as Standard Webhooks 1.0 says, and when it is sent again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Callable
from typing import Any, Final

from filepipe import __version__
from filepipe.protocols.uploads_api import timestamp
from filepipe.records.outbox import Event

DELAYS: Final = (1, 5, 30, 120, 600, 3600, 21600)
"""Seconds from each attempt to the next; after the last one an event is given up."""

JITTER: Final = 0.2
"""By which share a delay is made shorter or longer, so that targets are not hit all at once."""


def delay(failed: int, chance: Callable[[], float] = random.random) -> float | None:
    """Seconds to wait after `failed` attempts, None for no more; `chance` is from 0 to 1."""
    if failed > len(DELAYS):
        return None
    return DELAYS[failed - 1] * (1 - JITTER + 2 * JITTER * chance())


def body(event: Event) -> bytes:
    """The JSON of an event, the same at each attempt."""
    moment = timestamp(event.happened)
    completed = event.kind == "upload.complete"
    fields: dict[str, Any] = {
        "event": event.kind,
        "file_id": event.upload,
        "filename": event.filename,
        "path": f"{event.folder}/{event.filename}" if event.folder else event.filename,
        "total_size": event.total_size,
        "final_path": event.final_path,
        "storage_backend": event.storage,
        "completed_at": moment if completed else None,
        "failed_at": None if completed else moment,
        "error": event.error,
    }
    return json.dumps(fields).encode()


def headers(secret: bytes, event_id: str, now: int, content: bytes) -> dict[str, str]:
    """What goes with `content` at the time `now`, in seconds since 1970."""
    return {
        "Content-Type": "application/json",
        "User-Agent": f"filepipe/{__version__}",
        "Webhook-Id": event_id,
        "Webhook-Timestamp": str(now),
        "Webhook-Signature": signature(secret, event_id, now, content),
    }


def signature(secret: bytes, event_id: str, now: int, content: bytes) -> str:
    """`v1,` and the HMAC-SHA256 of id, time and content, in base64."""
    signed = b".".join((event_id.encode(), str(now).encode(), content))
    digest = hmac.digest(secret, signed, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()
