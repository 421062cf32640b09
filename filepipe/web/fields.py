"""Header fields that may come in several lines, and those that proxies add."""

from __future__ import annotations

from multidict import MultiMapping


def joined(headers: MultiMapping[str], name: str) -> str | None:
    """The value of a field, its lines joined as the list that they are (RFC 9110, 5.3)."""
    values = headers.getall(name, None)
    return None if values is None else ", ".join(values)


def tells_of_proxy(headers: MultiMapping[str]) -> bool:
    """Whether somebody between the client and us shows itself."""
    if any(name.lower().startswith("x-forwarded-") for name in headers):
        return True
    return "Forwarded" in headers or "Via" in headers or "X-Real-IP" in headers
