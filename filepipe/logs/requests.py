"""The line for each request, written without the general machinery where that is lines of JSON.

It is most of what a daemon logs, and by the general way it would cost as much as a small transfer.
The fields, their order and what they may hold are the same either way; a test compares them.
"""

from __future__ import annotations

import re
from typing import Final

from filepipe.logs import setup
from filepipe.logs.render import timestamp

LOGGER: Final = "filepipe.access"

# Texts that JSON shows as they are, that hold no query and no credential, and that fit a line.
_PLAIN = re.compile(r"[A-Za-z0-9._~:/%!$&()*+,;=-]{1,1500}")


def log_request(
    request_id: str,
    remote: str,
    method: str,
    path: str,
    status: int,
    size: tuple[int, int],
    seconds: float,
) -> None:
    """Log one answer; `size` is the bytes of the bodies that came in and went out."""
    write = setup.json_sink()
    if write is None or _PLAIN.fullmatch(f"{remote}{method}{path}") is None:
        setup.get_logger(LOGGER).info(
            "request",
            request_id=request_id,
            remote=remote,
            method=method,
            path=path,
            status=status,
            bytes_in=size[0],
            bytes_out=size[1],
            seconds=round(seconds, 6),
        )
        return
    write(
        f'{{"timestamp":"{timestamp()}","level":"info","event":"request","logger":"{LOGGER}",'
        f'"request_id":"{request_id}","remote":"{remote}","method":"{method}",'
        f'"path":"{path}","status":{status},"bytes_in":{size[0]},"bytes_out":{size[1]},'
        f'"seconds":{round(seconds, 6)!r}}}\n'.encode("ascii")
    )
