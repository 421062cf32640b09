"""What a log line must not hold: secrets, queries, and more than its share of text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, cast

REDACTED: Final = "[redacted]"

_SECRET_NAME = re.compile(r"authorization|cookie|token|secret|pass(w|$)|api[-_]?key", re.IGNORECASE)
_QUERY = re.compile(r"\?[^\s\"'<>]+")
_USER = re.compile(r"://[^\s/@]*@")
_CREDENTIAL = re.compile(r"\b(bearer|basic)\s+[\w+/=.~-]+", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"((?:authorization|cookie|token|secret|password|api[-_]?key)[\"']?\s*[=:]\s*)[^\s,;]+",
    re.IGNORECASE,
)
_PLAIN = frozenset({int, float, bool, type(None)})
_MOST_ITEMS = 32
_DEPTH = 3


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Whether a value under this name is never to be shown."""
    return _SECRET_NAME.search(name) is not None


def clean_text(text: str) -> str:
    """Cut the queries of URLs and blot out credentials in a text of ours."""
    if "?" in text:
        text = _QUERY.sub("?[cut]", text)
    if "://" in text:
        text = _USER.sub(f"://{REDACTED}@", text)
    if "earer" in text or "asic " in text:
        text = _CREDENTIAL.sub(rf"\1 {REDACTED}", text)
    return text


def clean_foreign_text(text: str) -> str:
    """Clean a text that somebody else made up, such as a traceback, more thoroughly."""
    return _ASSIGNED.sub(rf"\1{REDACTED}", clean_text(text))


def clean(name: str, value: object, depth: int = _DEPTH) -> object:
    """Turn a value into one that JSON can write and that holds no secret."""
    kind = type(value)
    if is_secret(name):
        return REDACTED
    if kind is str:
        return clean_text(cast(str, value))
    # The difference is not 0 for the infinities, which JSON does not know.
    if kind in _PLAIN and (kind is not float or value - value == 0):  # type: ignore[operator]
        return value
    if depth and isinstance(value, Mapping):
        pairs = list(value.items())[:_MOST_ITEMS]
        return {str(key): clean(str(key), item, depth - 1) for key, item in pairs}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [clean("", item, depth - 1) for item in list(value)[:_MOST_ITEMS]]
    return clean_foreign_text(str(value))


def clip(value: object, limit: int) -> object:
    """Shorten a text to `limit` characters; of a long one the end says more than the middle."""
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = value if isinstance(value, str) else str(value)
    if len(text) <= limit:
        return value
    head = limit // 4
    return f"{text[:head]}[...]{text[head - limit :]}"
