"""The line for each request, written without the general machinery where that is lines of JSON.

It is most of what a daemon logs, and by the general way it would cost as much as a small transfer.
The fields, their order and what they may hold are the same either way; a test compares them.
"""

from __future__ import annotations

import re
from json.encoder import encode_basestring_ascii
from typing import Final

from filepipe.logs import setup
from filepipe.logs.redact import clean_text, clip
from filepipe.logs.render import timestamp

LOGGER: Final = "filepipe.access"
_MOST_TEXT = 1024
_PLAIN = re.compile(r"[A-Za-z0-9._~/-]{1,512}")


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
    if write is None:
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
        f'"request_id":"{request_id}","remote":{_text(remote)},"method":{_text(method)},'
        f'"path":{_text(path)},"status":{status},"bytes_in":{size[0]},"bytes_out":{size[1]},'
        f'"seconds":{round(seconds, 6)!r}}}\n'.encode("ascii")
    )


def _text(text: str) -> str:
    """The text as JSON."""
    if _PLAIN.fullmatch(text) is not None:
        return f'"{text}"'
    short = str(clip(clean_text(text), _MOST_TEXT))
    return encode_basestring_ascii(short).replace("\x7f", "\\u007f")
