"""What is known of one request while it is served, and the key under which it carries that."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web


@dataclass(slots=True)
class Exchange:
    """Filled by the pumps and the routes, read by the access log.

    `path` is the path without the query; bytes are those of the bodies. `delivered` is the status
    of an answer that has arrived, also when its reader closed before we were done.
    """

    id: str
    path: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    delivered: int | None = None


EXCHANGE = web.RequestKey("EXCHANGE", Exchange)
