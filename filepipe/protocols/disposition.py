"""Content-Disposition: the name of a file, in and out (RFC 6266, RFC 8187).

What comes in is read tolerantly and means nothing until `clean_filename` has seen it; what goes
out is one header line whatever the name is.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from filepipe.keys import INVISIBLE
from filepipe.protocols.media import TCHARS, parameters

# What the file systems of all readers can hold.
MAX_FILENAME_BYTES: Final = 255
MAX_DISPOSITION: Final = 1024
# An extension up to this length survives when a name is cut.
_KEPT_EXTENSION: Final = 16

_TYPE = re.compile(rf"[ \t]*+{TCHARS}")
_EXTENDED = re.compile(
    r"(utf-8|iso-8859-1)'[A-Za-z0-9-]*'((?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-Fa-f]{2})+)",
    re.IGNORECASE,
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_NEEDS_ESCAPE = re.compile(r'(["\\])')
# The attr-char of RFC 8187 that are no letters or digits.
_ATTR_CHARS = "!#$&+-.^_`|~"


def parse_filename(header: str | None) -> str | None:
    """Return the file name in a Content-Disposition as sent, None if there is no usable one."""
    found = None if header is None else _TYPE.match(header)
    if header is None or found is None:
        return None
    values: dict[str, str] = {}
    for name, value in parameters(header[found.end() :]):
        values.setdefault(name, value)
    extended = _decode_extended(values.get("filename*", ""))
    return extended or values.get("filename") or None


def _decode_extended(value: str) -> str | None:
    found = _EXTENDED.fullmatch(value)
    if found is None:
        return None
    try:
        return unquote_to_bytes(found[2]).decode(found[1])
    except UnicodeDecodeError:
        return None


def clean_disposition(header: str | None) -> str | None:
    """Return a Content-Disposition as it came if it is short and can stand in a head, else None."""
    if header is None or len(header) > MAX_DISPOSITION or not header.isprintable():
        return None
    return header if _TYPE.match(header) and not _SURROGATES.search(header) else None


def clean_filename(name: str) -> str | None:
    """Return the last path segment without anything that misleads or breaks, None if none is left.

    The result has at most 255 bytes of UTF-8 and stays what it is when cleaned again.
    """
    base = re.split(r"[/\\]", name)[-1]
    shortened = _shorten(_visible(base).replace(":", "").strip()).strip()
    return shortened if shortened.strip(".") else None


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    # A lone surrogate cannot be written at all.
    return _SURROGATES.sub("", INVISIBLE.sub("", text))


def _shorten(name: str) -> str:
    if len(name.encode()) <= MAX_FILENAME_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    ending = (dot + extension).encode()
    if not stem or len(ending) > _KEPT_EXTENSION:
        stem, ending = name, b""
    kept = stem.encode()[: MAX_FILENAME_BYTES - len(ending)].decode(errors="ignore")
    return kept + ending.decode()


def attachment(filename: str | None, *, inline: bool = False) -> str:
    """Write a Content-Disposition that every browser understands (RFC 6266, appendix D)."""
    kind = "inline" if inline else "attachment"
    name = _visible(filename or "")
    if not name:
        return kind
    if name.isascii():
        return f'{kind}; filename="{_escape(name)}"'
    fallback = _escape(_NOT_ASCII.sub("_", name))
    extended = quote(name, safe=_ATTR_CHARS)
    return f"{kind}; filename=\"{fallback}\"; filename*=UTF-8''{extended}"


def attachment_raw(filename: str) -> str:
    """Write a Content-Disposition as file-pipe does: one name, whatever its script."""
    return f'attachment; filename="{_escape(_visible(filename))}"'


def _escape(name: str) -> str:
    return _NEEDS_ESCAPE.sub(r"\\\1", name)
