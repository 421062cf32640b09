"""What an SMB server answers when it does not do what it was asked, and what a caller hears."""

from __future__ import annotations

from filepipe.errors import DiskFull, FilepipeError, StorageAway, StorageFailed, TooManyFiles

ABSENT = frozenset(
    {
        0xC000000F,  # no such file
        0xC0000034,  # object name not found
        0xC000003A,  # object path not found
        0xC000003B,  # object path syntax bad
        0xC0000056,  # delete pending: gone as soon as somebody closes it
        0xC00000BA,  # file is a directory
        0xC0000103,  # not a directory
        0x8000002D,  # stopped on a link, which is not followed
    }
)
"""There is no file of that name."""

TAKEN = frozenset({0xC0000035})
"""Something has the name."""

NOT_TO_BE_HAD = frozenset(
    {
        0xC0000033,  # object name invalid
        0xC0000039,  # object path invalid
        0xC000003A,
        0xC000003B,
        0xC00000BA,
        0xC0000103,
        0x8000002D,
        0xC0000106,  # name too long
    }
)
"""A file cannot be called so."""

SHARED = 0xC0000043
"""Somebody has it open, and has not allowed what is asked."""

IN_USE = frozenset(
    {
        0xC0000022,  # access denied: what some servers say instead
        SHARED,
    }
)
"""Somebody has the file open."""

LOST = frozenset(
    {
        0xC00000C9,  # network name deleted: the share is gone, or comes again
        0xC0000128,  # file closed
        0xC0000008,  # invalid handle
        0xC0000203,  # user session deleted
        0xC000035C,  # network session expired
        0xC0000120,  # cancelled: the server goes down
        0xC000020C,  # connection disconnected
        0xC000020D,  # connection reset
    }
)
"""What was open is open no longer; all of it can be opened again."""

ACCOUNT = frozenset(
    {
        0xC000006A,  # wrong password
        0xC000006D,  # logon failure
        0xC000006E,  # account restriction
        0xC000006F,  # not at this hour
        0xC0000070,  # not from this machine
        0xC0000071,  # password expired
        0xC0000072,  # account disabled
        0xC0000193,  # account expired
        0xC0000224,  # password must change
        0xC0000234,  # account locked out
    }
)
"""The server does not take the account."""

NO_SHARE = frozenset({0xC00000CC})
"""The server has no such share."""

UNABLE = frozenset(
    {
        0xC0000002,  # not implemented
        0xC000000D,  # invalid parameter
        0xC0000010,  # invalid device request
        0xC0000022,
        0xC00000BB,  # not supported
        0xC00000BA,
    }
)
"""What servers say that cannot flush a folder."""

NO_MORE = frozenset({0x80000006, 0xC000000F})
"""A folder has been read to its end."""

END = frozenset({0xC0000011})
"""Nothing is to be read there."""

_FULL = frozenset(
    {
        0xC000007F,  # disk full
        0xC0000044,  # quota exceeded
        0xC0000802,  # disk quota exceeded
        0xC0000904,  # file too large
    }
)
_MANY = frozenset({0xC000011F})

_SENTENCES = {
    0xC0000022: "access denied",
    SHARED: "somebody else has the file open",
    0xC000009A: "the server has no resources left",
    0xC0000205: "the server has no resources left",
    0xC00000A2: "the share cannot be written to",
    0xC0000185: "the server's disk failed",
    0xC000009C: "the server's disk failed",
}


class Lost(Exception):
    """The connection is gone; what was asked for has been done or not."""


class Unreachable(Exception):
    """There is no connection, and none can be made now; one sentence without places."""


class Rejected(Exception):
    """The server is there and does not take us; one sentence without places."""


class Refusal(Exception):
    """The server has not done what it was asked: its status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status:#010x}")
        self.status = status


def translated(error: Exception) -> FilepipeError:
    """Say what happened without places: a client may see it."""
    if not isinstance(error, Refusal):
        reason = "the connection to the SMB server was lost" if isinstance(error, Lost) else error
        return StorageAway(f"the storage is away: {reason}")
    if error.status in _FULL:
        return DiskFull("disk full, try again later")
    if error.status in _MANY:
        return TooManyFiles("too many open files, try again later")
    sentence = _SENTENCES.get(error.status, f"SMB status {error.status:#010x}")
    return StorageFailed(f"the storage failed: {sentence}")
