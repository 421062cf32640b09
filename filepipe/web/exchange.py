"""What is known of one request while it is served, and the key under which it carries that."""

from __future__ import annotations

import re
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


_UPLOAD = re.compile(r"(/[0-9a-f]{8})[0-9a-f]{24}")


def loggable(path: str) -> str:
    """A path among uploads as a log may have it: who knows all of an id may write to some."""
    return _UPLOAD.sub(r"\1…", path)


EXCHANGE = web.RequestKey("EXCHANGE", Exchange)
