"""The query of a request: few names, each at most once."""

from __future__ import annotations

from typing import Final

from filepipe.errors import BadRequest
from filepipe.keys import percent_decode

# No request of ours knows a dozen; the bound keeps a hostile one from making a large table.
MAX_NAMES: Final = 32


def parse_query(query: str) -> dict[str, str]:
    """Names and values, percent-decoded once; raises `BadRequest`.

    A plus sign stays a plus sign: queries are not forms. A name without "=" has the value "".
    """
    if not query:
        return {}
    found: dict[str, str] = {}
    for piece in query.split("&"):
        if not piece:
            continue
        name, value = _decode(piece)
        if name in found:
            raise BadRequest("query has a parameter twice")
        if len(found) == MAX_NAMES:
            raise BadRequest(f"query has more than {MAX_NAMES} parameters")
        found[name] = value
    return found


def _decode(piece: str) -> tuple[str, str]:
    name, _, value = piece.partition("=")
    if not name:
        raise BadRequest("query has a parameter without a name")
    try:
        return percent_decode(name), percent_decode(value)
    except ValueError as why:
        raise BadRequest(f"query {why}") from None


def lone_value(query: str, name: str) -> str | None:
    """The first value of `name`, as it stands; what else the query says, and how, is no matter.

    For protocols whose requests may carry any query.
    """
    for piece in query.split("&"):
        found, equals, value = piece.partition("=")
        if found == name and equals:
            return value
    return None
