"""One line for each request, and the ids that join it to other lines."""

from __future__ import annotations

import itertools
import secrets
import time

from filepipe.logs import get_logger
from filepipe.service import Statistics

_log = get_logger("filepipe.access")
_run = secrets.token_hex(4)
_numbers = itertools.count(1)


def next_request_id() -> str:
    """An id that no other request of any daemon has had, as far as chance allows."""
    return f"{_run}-{next(_numbers)}"


def record(
    statistics: Statistics,
    request_id: str,
    remote: str,
    method: str,
    path: str,
    status: int,
    bytes_in: int,
    bytes_out: int,
    started: float,
) -> None:
    """Count the answer and log it; `path` has no query, `started` is of `time.perf_counter`."""
    statistics.responses[status] += 1
    _log.info(
        "request",
        request_id=request_id,
        remote=remote,
        method=method,
        path=path,
        status=status,
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        seconds=round(time.perf_counter() - started, 6),
    )
