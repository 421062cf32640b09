"""How many receivers a request speaks of: `?n=`, a plain number from 1 to a limit."""

from __future__ import annotations

import re

from filepipe.errors import BadRequest

_NUMBER = re.compile(r"-?[0-9]{1,9}")


class BadNumber(BadRequest):
    """What `?n=` says is no number of receivers; `value` is the number, if it is one at all."""

    def __init__(self, message: str, value: int | None) -> None:
        super().__init__(message)
        self.value = value


def wanted_receivers(text: str, most: int) -> int:
    """The number; raises `BadNumber`."""
    if not text.isascii() or _NUMBER.fullmatch(text) is None:
        raise BadNumber(f"n is not a whole number from 1 to {most}", None)
    value = int(text)
    if not 1 <= value <= most:
        raise BadNumber(f"n is not a whole number from 1 to {most}", value)
    return value
