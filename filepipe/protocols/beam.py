"""The protocol Beam without its sockets: its sentences, as its clients know them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from filepipe.errors import BadRequest, FilepipeError, InTransfer, NobodyCame, SenderPresent

NAME_METHODS: Final = ("GET", "HEAD", "PUT")
PAGE_METHODS: Final = ("GET", "HEAD")

COMPLETED: Final = "Upload completed successfully"
NO_UPLOAD: Final = "No active upload stream for this file"
_IN_PROGRESS: Final = "An upload is already in progress for this filename"


def waiting_streams(names: Sequence[str] | int) -> str:
    """The dashboard: the names that wait for a download, or only how many there are."""
    shown = names if isinstance(names, int) else json.dumps(list(names), ensure_ascii=False)
    return f"Streams waiting for download: {shown}"


def refused_upload(error: FilepipeError) -> tuple[int, str]:
    """Status and sentence for an upload that may not wait."""
    in_progress = isinstance(error, InTransfer | SenderPresent)
    return error.status, _IN_PROGRESS if in_progress else str(error)


def failed_upload(error: FilepipeError) -> tuple[int, str]:
    """Status and sentence for an upload that began to wait and was not delivered."""
    if isinstance(error, NobodyCame):
        return 400, "Upload failed: Timeout waiting for download client"
    if isinstance(error, BadRequest):
        reason = str(error).removeprefix("upload failed: ")
        return error.status, f"Upload failed: Stream error: {reason}"
    return error.status, f"Upload failed: {error}"
