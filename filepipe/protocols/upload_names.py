"""Under which name an upload is kept: what a client may ask for, as one safe relative path.

Nothing is dropped or replaced without a word: a name that cannot be kept as it is is refused.
"""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath
from typing import Final

from filepipe.errors import BadRequest
from filepipe.keys import INVISIBLE

MAX_SEGMENT_BYTES: Final = 255
MAX_PATH_BYTES: Final = 1024


def upload_path(filename: str) -> PurePosixPath:
    """The path below the storage's root; one leading slash is taken off. Raises `BadRequest`."""
    text = filename.removeprefix("/")
    _check_text(text)
    segments = text.split("/")
    if "" in segments:
        raise BadRequest("filename has an empty segment")
    for segment in segments:
        _check_segment(segment)
    return PurePosixPath(*segments)


def _check_text(text: str) -> None:
    if not text:
        raise BadRequest("filename is empty")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadRequest("filename is not valid Unicode") from None
    if size > MAX_PATH_BYTES:
        raise BadRequest(f"filename exceeds {MAX_PATH_BYTES} bytes")
    if INVISIBLE.search(text):
        raise BadRequest("filename has a control or bidirectional character")
    if "\\" in text:
        raise BadRequest("filename has a backslash")
    if not unicodedata.is_normalized("NFC", text):
        raise BadRequest("filename is not in Unicode normalization form C")


def _check_segment(segment: str) -> None:
    if segment in (".", ".."):
        raise BadRequest("filename has a dot segment")
    if segment.startswith(".filepipe"):
        raise BadRequest("filename begins with a name of the daemon's own")
    if len(segment.encode()) > MAX_SEGMENT_BYTES:
        raise BadRequest(f"filename has a segment of more than {MAX_SEGMENT_BYTES} bytes")
