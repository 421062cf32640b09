"""Header fields that may come in several lines."""

from __future__ import annotations

from multidict import MultiMapping


def joined(headers: MultiMapping[str], name: str) -> str | None:
    """The value of a field, its lines joined as the list that they are (RFC 9110, 5.3)."""
    values = headers.getall(name, None)
    return None if values is None else ", ".join(values)
