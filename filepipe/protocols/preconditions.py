"""If-Match, If-None-Match and If-Range (RFC 9110, section 13).

An entity tag is given as it stands in the ETag header, quotes included.
"""

from __future__ import annotations

import re

_ELEMENT = re.compile(
    r'[ \t]*+(?:(?P<weak>W/)?(?P<tag>"[\x21\x23-\x7e\x80-\U0010ffff]*+")[ \t]*+)?(?:,|\Z)',
)


def matches(header: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags, or `*`, names `etag`.

    Compare weakly for If-None-Match and strongly for If-Match. What cannot be read names nothing.
    """
    if header == etag:
        return weak or not etag.startswith("W/")
    if header.strip(" \t") == "*":
        return True
    if etag.startswith("W/") and not weak:
        return False
    return _lists(header, etag.removeprefix("W/"), weak=weak)


def _lists(header: str, opaque: str, *, weak: bool) -> bool:
    position = 0
    while position < len(header) and (found := _ELEMENT.match(header, position)):
        if found["tag"] == opaque and (weak or not found["weak"]):
            return True
        position = found.end()
    return False


def if_range_holds(header: str | None, etag: str) -> bool:
    """Whether the Range beside this If-Range may be obeyed for `etag`; a date never holds."""
    if header is None:
        return True
    # Strong comparison (13.1.5). A date would need a Last-Modified, and we send none.
    return header.strip(" \t") == etag and not etag.startswith("W/")
