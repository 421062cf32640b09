"""How long a reader waits and an object stays: what the request wants, within our limits.

A query is an order and is refused when it cannot be followed; a preference is not.
"""

from __future__ import annotations

import re

from filepipe.errors import BadRequest
from filepipe.sizes import format_duration, parse_duration

# One preference and its parameters (RFC 7240, section 2); a comma inside quotes ends nothing.
# Escapes are not looked for: an unfinished string must not be searched again from each of them.
_PREFERENCE = re.compile(r'(?>(?:[^,"]++|"[^"]*+"|")+)')
_WAIT = re.compile(r'[ \t]*wait[ \t]*=[ \t]*("?)([0-9]+)\1[ \t]*(?:;.*)?', re.IGNORECASE)
_WAIT_NAME = re.compile(r"[ \t]*wait[ \t]*(?:[=;]|\Z)", re.IGNORECASE)


def wanted_wait(
    query_wait: str | None, prefer: str | None, default: float, maximum: float
) -> float:
    """Seconds to wait for a writer: `?wait=` beats `Prefer: wait=`, which beats the default."""
    if query_wait is not None:
        return _within("wait", query_wait, maximum)
    preferred = None if prefer is None else _preferred_wait(prefer)
    return default if preferred is None else min(preferred, maximum)


def wanted_retention(max_age: str | None, default: float, maximum: float) -> float:
    """Seconds to keep an object after its end, by `?max-age=` or the default."""
    return default if max_age is None else _within("max-age", max_age, maximum)


def _within(name: str, text: str, maximum: float) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError:
        raise BadRequest(f"{name} is not a duration such as 30, 30s, 5m or 1.5h") from None
    if seconds > maximum:
        raise BadRequest(f"{name} exceeds the maximum of {format_duration(maximum)}")
    return seconds


def _preferred_wait(prefer: str) -> float | None:
    for preference in _PREFERENCE.findall(prefer):
        if _WAIT_NAME.match(preference):
            # Only the first of several counts (RFC 7240, section 2), also when it is unusable.
            found = _WAIT.fullmatch(preference)
            return float(found[2]) if found else None
    return None
