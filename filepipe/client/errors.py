"""What a transfer can end in, as one tree; each class has the exit code of the commands.

ClientError                1  a transfer failed
├── BadAddress             2  a URL or key that cannot be asked for
├── SourceChanged          1  an upload had fewer or more bytes than announced
├── Unreachable            5  nobody answered
├── Refused                1  the server said no; carries its status and sentence
│   ├── NotThere           3  404
│   ├── Busy               1  409, the key is in use
│   └── RangeRefused       1  416, carries the length that the server knows
└── Interrupted            4  the bytes stopped before the end
    └── Changed            4  what is there now is not what we began with

An OSError that leaves this package concerns a file of the caller, never the network.
"""

from __future__ import annotations


class ClientError(Exception):
    """The root. `str()` of an instance is one sentence for the user."""

    exit_code = 1


class BadAddress(ClientError):
    """The URL or the key cannot be turned into a request."""

    exit_code = 2


class SourceChanged(ClientError):
    """The source had not the bytes that were announced to the server."""


class Unreachable(ClientError):
    """The server did not answer: no address, no connection, no certificate, no HTTP."""

    exit_code = 5


class Refused(ClientError):
    """The server answered with an error: `status`, and `sentence` in its own words.

    `retry_after` is how many seconds it wants to be left alone.
    """

    retry_after = 0.0

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(f"{sentence} ({status})")
        self.status = status
        self.sentence = sentence


class NotThere(Refused):
    """Nobody writes, or wrote, under this key."""

    exit_code = 3


class Busy(Refused):
    """The key is in use."""


class RangeRefused(Refused):
    """The object ends before the range; `length` is its length, None if the server hides it."""

    def __init__(self, sentence: str, length: int | None, etag: str | None) -> None:
        super().__init__(416, sentence)
        self.length = length
        self.etag = etag


class Interrupted(ClientError):
    """The bytes stopped before the end, after `received` (or, for an upload, sent) bytes."""

    exit_code = 4

    def __init__(self, message: str, received: int) -> None:
        super().__init__(message)
        self.received = received


class Changed(Interrupted):
    """The object was replaced while we had a part of it; the two were not mixed."""
