"""Content-Type and Content-Encoding: what is safe to store, to show, and to hand to a reader.

What passes here goes out again in the head of an answer, so nothing passes that could end a
header line or start another field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

MAX_FIELD_BYTES: Final = 255

TCHARS: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]++"
# Possessive throughout, so that a long hostile value is read once and not tried in every way;
# atomic around groups, where Python before 3.11.5 matches possessive ones wrongly (gh-106052).
_QUOTED = r'"(?>(?:[ !#-\[\]-~]|\\[ -~])*)"'
_MEDIA_TYPE = re.compile(
    rf"{TCHARS}/{TCHARS}(?>(?:[ \t]*+;[ \t]*+{TCHARS}=(?:{TCHARS}|{_QUOTED}))*)",
)
_CODINGS = re.compile(rf"{TCHARS}(?>(?:[ \t]*+,[ \t]*+{TCHARS})*)")
_PARAMETER = re.compile(
    rf"[ \t]*+;[ \t]*+(?P<name>{TCHARS})[ \t]*+=[ \t]*+"
    r'(?:"(?P<quoted>(?>(?:[^"\\]|\\.)*))"|(?P<bare>[^;"]*+))',
    re.DOTALL,
)
# Only these two: senders of Windows paths do not escape their backslashes.
_ESCAPED = re.compile(r'\\(["\\])')
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")

FORM_DATA: Final = "multipart/form-data"

# Nothing in these can run a script in the reader's browser. SVG, PDF, HTML, XML and JSON can,
# or could in some viewer, and are left out.
INERT: Final = frozenset(
    {
        "application/ogg",
        "audio/aac",
        "audio/flac",
        "audio/mp4",
        "audio/mpeg",
        "audio/ogg",
        "audio/wav",
        "audio/wave",
        "audio/webm",
        "audio/x-pn-wav",
        "audio/x-wav",
        "image/avif",
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
        "text/plain",
        "video/mp4",
        "video/mpeg",
        "video/ogg",
        "video/webm",
    }
)


def parameters(text: str) -> Iterator[tuple[str, str]]:
    """Read the parameters that follow a media type or disposition, in order, names in lower case.

    `text` begins at the first semicolon; reading ends without a complaint where it cannot go on.
    """
    position = 0
    while found := _PARAMETER.match(text, position):
        quoted, bare = found["quoted"], found["bare"]
        value = bare.strip(" \t") if quoted is None else _ESCAPED.sub(r"\1", quoted)
        yield found["name"].lower(), value
        position = found.end()


def clean_content_type(value: str | None) -> str | None:
    """Return the media type, trimmed, if it is well formed and short; else None."""
    return _clean(value, _MEDIA_TYPE)


def clean_content_encoding(value: str | None) -> str | None:
    """Return the list of codings, trimmed, if it is well formed and short; else None."""
    return _clean(value, _CODINGS)


def _clean(value: str | None, grammar: re.Pattern[str]) -> str | None:
    if value is None:
        return None
    trimmed = value.strip(" \t")
    if len(trimmed) > MAX_FIELD_BYTES or not _obeys(trimmed, grammar):
        return None
    return trimmed


@lru_cache(maxsize=256)  # a daemon meets the same few types over and over
def _obeys(text: str, grammar: re.Pattern[str]) -> bool:
    return grammar.fullmatch(text) is not None


def is_inert(content_type: str | None) -> bool:
    """Whether a browser may show a body of this type inline; parameters do not matter."""
    cleaned = clean_content_type(content_type)
    return cleaned is not None and cleaned.partition(";")[0].rstrip(" \t").lower() in INERT


def multipart_boundary(content_type: str | None) -> str | None:
    """Return the boundary of a form upload; None if this is none, or has no single usable one.

    The type's case matters, as it does to file-pipe.
    """
    if content_type is None or not content_type.startswith(FORM_DATA):
        return None
    values = [
        value
        for name, value in parameters(content_type.removeprefix(FORM_DATA))
        if name == "boundary"
    ]
    # Two parsers could disagree about which of two boundaries counts.
    return values[0] if len(values) == 1 and _BOUNDARY.fullmatch(values[0]) else None
