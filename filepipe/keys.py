"""Keys: from the path of a request to the one name that travels inside, and back to a URL.

Rule 1: a path becomes a `Key` once, at the edge; nothing inside decodes or trims a key again.
Rule 2: two paths name one key exactly when their decoded texts are equal, so what has two
        spellings (dot segments, empty segments, unnormalised text, an escaped slash) is refused.
Rule 3: a key is never a file name.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NewType
from urllib.parse import quote, unquote_to_bytes

from filepipe.errors import BadKey, BadRequest

Key = NewType("Key", str)

MAX_KEY_BYTES: Final = 512

# Taken from the first release on, also where what they will serve does not exist yet.
RESERVED_SEGMENTS: Final = frozenset({"-", "channels", "upload", "files", "streams"})
RESERVED_NAMES: Final = frozenset(
    {
        "",
        "help",
        "version",
        "health",
        "ready",
        "state",
        "metrics",
        "noscript",
        "favicon.ico",
        "robots.txt",
    }
)

# C0, DEL and C1, and the characters that turn the direction of writing: both make a name look
# like another one in a terminal, a log or a page.
INVISIBLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]",
)

# Nearly every key there is: nothing to decode, nothing to normalise, no dot segment.
_SEGMENT = r"(?!\.\.?(?:/|\Z))[A-Za-z0-9._~!$&'()*+,;=:@-]++"
_PLAIN = re.compile(rf"{_SEGMENT}(?>(?:/{_SEGMENT})*)/?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPED_SLASH = re.compile("%2f", re.IGNORECASE)
_ABSOLUTE = re.compile(r"https?://([^/?#]*)([^?#]*)(?:\?([^#]*))?", re.IGNORECASE)

# Of the characters that a path may show bare, those that no shell takes for its own, because
# people paste the URL that PUT answers with.
_SHOWN_BARE = "/:@,+="


def percent_decode(text: str) -> str:
    """Undo percent-encoding once; ValueError, with one sentence, for what is not strict UTF-8."""
    if _BAD_ESCAPE.search(text):
        raise ValueError("has a percent sign that begins no escape")
    try:
        # Bytes of a request head that are not UTF-8 arrive here as lone surrogates.
        return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8")
    except UnicodeError:
        raise ValueError("is not valid UTF-8") from None


def parse_key(path: str, *, strip_all: bool = False) -> Key:
    """Return the key that a raw path (as received, no query) names; raises `BadKey`.

    One leading slash is taken off, or all of them with `strip_all`. A trailing slash is kept.
    """
    raw = path.lstrip("/") if strip_all else path.removeprefix("/")
    if not raw:
        raise BadKey("missing key in path")
    if len(raw) <= MAX_KEY_BYTES and _PLAIN.fullmatch(raw):
        return Key(raw)
    return _parse_unusual(raw)


def _parse_unusual(raw: str) -> Key:
    # A byte that is not UTF-8 is one lone surrogate here, and one byte when replaced.
    if len(raw.encode("utf-8", "replace")) > MAX_KEY_BYTES:
        raise BadKey("key exceeds 512 bytes")
    if _ESCAPED_SLASH.search(raw):
        raise BadKey("key has an escaped slash (%2F)")
    try:
        text = percent_decode(raw)
    except ValueError as why:
        raise BadKey(f"key {why}") from None
    _check_text(text)
    return Key(text)


def _check_text(text: str) -> None:
    if INVISIBLE.search(text):
        raise BadKey("key has a control or bidirectional character")
    if "\\" in text:
        raise BadKey("key has a backslash")
    if not unicodedata.is_normalized("NFC", text):
        raise BadKey("key is not in Unicode normalization form C")
    segments = text.removesuffix("/").split("/")
    if "" in segments:
        raise BadKey("key has an empty segment")
    if "." in segments or ".." in segments:
        raise BadKey("key has a dot segment")


def is_reserved(key: Key) -> bool:
    """Whether the root of an `auto` listener keeps this name for itself."""
    return key in RESERVED_NAMES or key.partition("/")[0] in RESERVED_SEGMENTS


def quote_key(key: Key) -> str:
    """Write the key as the path of a URL, without a leading slash; `parse_key` undoes it."""
    return quote_text(key)


def quote_text(text: str) -> str:
    """Write any text so that `parse_key` reads it, and judges whether it is a key."""
    return quote(text, safe=_SHOWN_BARE)


def split_target(target: str) -> tuple[str, str]:
    """Split a request-target into path and query: origin or absolute form (RFC 9112, 3.2)."""
    if "#" in target:
        raise BadRequest("request target has a fragment")
    if target.startswith("/"):
        path, _, query = target.partition("?")
        return path, query
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        raise BadRequest("request target is neither a path nor an http URL")
    authority, path, query = found.groups(default="")
    if not authority or "@" in authority:
        raise BadRequest("request target has no usable host")
    return path or "/", query
