"""One line for each request, and the ids that join it to other lines."""

from __future__ import annotations

import itertools
import secrets
import time

from filepipe.logs import log_request
from filepipe.protocols.plain import PlainRequest
from filepipe.service import Statistics

_run = secrets.token_hex(4)
_numbers = itertools.count(1)


def next_request_id() -> str:
    """An id that no other request of any daemon has had, as far as chance allows."""
    return f"{_run}-{next(_numbers)}"


def record(
    statistics: Statistics,
    request_id: str,
    remote: str,
    request_line: tuple[str, str],
    status: int,
    size: tuple[int, int],
    started: float,
) -> None:
    """Count the answer and log it.

    `request_line` is method and path, without the query; `size` the bytes of the bodies in and
    out; `started` a moment of `time.perf_counter`.
    """
    statistics.responses[status] += 1
    method, path = request_line
    log_request(request_id, remote, method, path, status, size, time.perf_counter() - started)


def record_plain(
    statistics: Statistics, request: PlainRequest, request_id: str, remote: str, status: int,
    size: int, started: float,
) -> None:  # fmt: skip
    """The same for a request that the doorman answered with `size` bytes."""
    taken = given = 0
    if request.method == "GET":
        given = size
    elif status == 200:
        taken = len(request.body)
    path = (request.method, request.path)
    record(statistics, request_id, remote, path, status, (taken, given), started)
