"""The JSON of the uploads API: what is asked and what is answered, without HTTP.

Field names and types are those that existing clients send and read; ours come beside them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from filepipe.errors import BadRequest, FilepipeError, Unprocessable
from filepipe.records.uploads import Part, Upload

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_PHASES: Final = {"pending": "uploading"}
"""The phase of a status, where they differ."""

MAX_WEBHOOK: Final = 2048


@dataclass(frozen=True, slots=True)
class Init:
    """What a client wants to upload; sizes in bytes, the checksum as lower-case hex.

    `unique` None leaves to the settings whether an existing file may be replaced.
    """

    filename: str
    total_size: int
    checksum_sha256: str | None
    webhook_url: str | None
    unique: bool | None
    storage: str | None
    path: str | None
    """A folder, in which the file is to be."""


def parse_init(body: bytes) -> Init:
    """Read the body of an init. Raises `BadRequest` for what is no JSON, else `Unprocessable`."""
    fields = _object(body)
    return Init(
        filename=_filename(fields),
        total_size=_total_size(fields),
        checksum_sha256=_checksum(fields),
        webhook_url=_webhook(fields),
        unique=_unique(fields),
        storage=_text(fields, "storage"),
        path=_text(fields, "path"),
    )


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("the body is not valid JSON") from None
    if not isinstance(value, dict):
        raise Unprocessable("the body is not a JSON object")
    return value


def _filename(fields: Mapping[str, Any]) -> str:
    filename = fields.get("filename")
    if not isinstance(filename, str):
        raise Unprocessable("filename is missing or not a string")
    return filename


def _total_size(fields: Mapping[str, Any]) -> int:
    size = fields.get("total_size")
    if not isinstance(size, int) or isinstance(size, bool):
        raise Unprocessable("total_size is missing or not a whole number")
    if size < 0:
        raise BadRequest("total_size is negative")
    return size


def _checksum(fields: Mapping[str, Any]) -> str | None:
    checksum = fields.get("checksum_sha256")
    if checksum is None:
        return None
    if not isinstance(checksum, str) or _SHA256.fullmatch(checksum) is None:
        raise Unprocessable("checksum_sha256 is not 64 hexadecimal digits")
    return checksum.lower()


def _webhook(fields: Mapping[str, Any]) -> str | None:
    url = fields.get("webhook_url")
    if url is None:
        return None
    if not isinstance(url, str) or not url.isprintable() or len(url) > MAX_WEBHOOK:
        raise Unprocessable(f"webhook_url is not a URL of at most {MAX_WEBHOOK} characters")
    return url


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise Unprocessable(f"{name} is not a string")
    return value


def _unique(fields: Mapping[str, Any]) -> bool | None:
    overwrite = fields.get("overwrite")
    if overwrite is None:
        return None
    if not isinstance(overwrite, bool):
        raise Unprocessable("overwrite is neither true nor false")
    return not overwrite


# -- answers


def init_answer(upload: Upload, tokens: Sequence[str]) -> dict[str, Any]:
    """What an init is answered with; one token for each part, in order."""
    return {
        "file_id": upload.id,
        "total_parts": upload.total_parts,
        "chunk_size": upload.chunk_size,
        "parts": _tokens(range(upload.total_parts), tokens),
        "expires_at": timestamp(upload.expires),
    }


def tokens_answer(upload: Upload, numbers: Sequence[int], tokens: Sequence[str]) -> dict[str, Any]:
    """New tokens for the parts that are missing."""
    return {
        "file_id": upload.id,
        "parts": _tokens(numbers, tokens),
        "expires_at": timestamp(upload.expires),
    }


def _tokens(numbers: Sequence[int], tokens: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"part": number, "token": token, "status": "pending"}
        for number, token in zip(numbers, tokens, strict=True)
    ]


def part_answer(upload: Upload, part: Part, stored: int) -> dict[str, Any]:
    """What the PUT of a part is answered with; `stored` parts are here now."""
    return {
        "upload_id": upload.id,
        "part_number": part.number,
        "status": "uploaded",
        "checksum_sha256": part.sha256,
        "uploaded_parts": stored,
        "total_parts": upload.total_parts,
    }


def status_answer(
    upload: Upload, stored: int, parts: Sequence[Part] | None, finalizing_percent: int
) -> dict[str, Any]:
    """All that is known of an upload; `parts` None if they were refused."""
    percent = stored / upload.total_parts * 100 if upload.total_parts else 0.0
    answer = {
        **_common(upload, finalizing_percent),
        "chunk_size": upload.chunk_size,
        "total_parts": upload.total_parts,
        "uploaded_parts": stored,
        "upload_progress_percent": percent,
        "progress_percent": percent,
        "finalization_error": upload.error,
        "created_at": timestamp(upload.created),
        "expires_at": timestamp(upload.expires),
        "parts": None,
    }
    if parts is not None:
        here = {part.number: part for part in parts}
        answer["parts"] = [_part(number, here.get(number)) for number in range(upload.total_parts)]
    return answer


def _part(number: int, part: Part | None) -> dict[str, Any]:
    if part is None:
        return {"part": number, "status": "pending", "checksum_sha256": None, "uploaded_at": None}
    return {
        "part": number,
        "status": "uploaded",
        "checksum_sha256": part.sha256,
        "uploaded_at": timestamp(part.uploaded),
    }


def complete_answer(upload: Upload, finalizing_percent: int) -> dict[str, Any]:
    """What completing is answered with, whether it is done yet or not."""
    return _common(upload, finalizing_percent)


def _common(upload: Upload, finalizing_percent: int) -> dict[str, Any]:
    return {
        "file_id": upload.id,
        "filename": upload.filename,
        "path": f"{upload.folder}/{upload.filename}" if upload.folder else upload.filename,
        "total_size": upload.total_size,
        "status": upload.status,
        "phase": _PHASES.get(upload.status, upload.status),
        "final_path": upload.final_path,
        "replaced_at": None if upload.replaced is None else timestamp(upload.replaced),
        "storage_backend": upload.storage,
        "finalizing_progress_percent": 100 if upload.status == "complete" else finalizing_percent,
    }


def listing_answer(uploads: Sequence[Upload]) -> dict[str, Any]:
    """A page of uploads, the newest first."""
    return {
        "uploads": [
            {
                **_common(upload, 0),
                "created_at": timestamp(upload.created),
                "expires_at": timestamp(upload.expires),
            }
            for upload in uploads
        ]
    }


def cancelled_answer(upload_id: str) -> dict[str, Any]:
    """What a cancellation is answered with."""
    message = "Upload cancelled and cleaned up"
    return {"file_id": upload_id, "status": "cancelled", "message": message}


def error_answer(error: FilepipeError, status: int) -> dict[str, Any]:
    """A refusal, whose `error` is a sentence."""
    return {"error": str(error), "status": status, "code": error.code}


def timestamp(moment: float) -> str:
    """A moment of the wall clock, in whole seconds (RFC 3339)."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
