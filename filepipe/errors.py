"""What can go wrong, as one tree; each class has a stable code and the HTTP status that fits it.

FilepipeError
├── Refused                    the caller asked for something we do not do
│   ├── BadRequest             400  a header, query or setting that cannot be understood
│   │   ├── BadKey             400  a key that breaks the rules of `filepipe.keys`
│   │   └── WrongLength        400  two lengths of one upload that do not agree
│   ├── Unauthorized           401  no credential, or one that is not good
│   ├── Forbidden              403  understood, and not allowed here
│   │   └── StaleEpoch         403  carries the epoch in which the producer is now
│   ├── NotFound               404  nothing there, also after waiting
│   ├── MethodNotAllowed       405  carries the methods that are
│   ├── Conflict               409  the key is in use
│   │   ├── InTransfer         409  a sender and its receivers are under way on it
│   │   ├── SenderPresent      409  another sender waits there for its receivers
│   │   ├── WrongNumber        409  carries the number of receivers that was expected
│   │   ├── SeatsTaken         409  as many receivers as were asked for are there
│   │   ├── WrongOffset        409  carries where the upload goes on, and where it was to
│   │   ├── WriterPresent      409  somebody else appends to the log
│   │   ├── NotAtEnd           409  carries where the log ends, which is not where it was to
│   │   ├── LogClosed          409  carries where the log ends, for ever
│   │   └── SequenceGap        409  carries which record of a producer comes next, and which came
│   ├── Gone                   410  what was waited for has been removed
│   ├── PreconditionFailed     412  If-Match does not hold
│   ├── OtherVersion           412  a version of tus that we do not speak
│   ├── TooLarge               413  more bytes than the limit for one body
│   │   └── PastLength         413  more bytes than the length that was announced
│   ├── RangeNotSatisfiable    416  carries the length that is known, or None
│   ├── UpgradeRequired        426  WebSocket, in the version that we speak
│   ├── Misdirected            421  a Host that this listener does not answer to
│   ├── UnsupportedMedia       415  a body of a type that is not understood here
│   ├── Unprocessable          422  well-formed, and not what it has to be
│   ├── ExpectationFailed      417  an Expect other than 100-continue
│   ├── WrongChecksum          460  a body that does not have the checksum that it came with
│   ├── UnknownCoding          501  a transfer coding that we do not speak
│   └── UnknownVersion         505  a version of HTTP that we do not speak
├── Unavailable                503  nobody's fault, try again later
│   ├── Draining                    the daemon is going down
│   ├── Busy                        somebody else is at it
│   ├── OverBudget                  a memory or disk limit of ours is reached
│   ├── DiskFull                    the file system has no room
│   ├── TooManyFiles                no file descriptors left
│   └── TooManyKeys                 the directory is full
├── NobodyCame                 408  the other side did not come within the wait
├── ForwardFailed              502  the target of X-Forward-Url did not take the body
├── Broken                     502  the other side of a channel ended without finishing
│   └── Stalled                408  a peer moved no byte within its limit
├── StorageFailed              500  a backend failed in a way that has no better name
│   └── StorageAway            503  its server cannot be reached just now
└── ConfigError                     a setting that cannot be used; never reaches a client
"""

from __future__ import annotations

from collections.abc import Sequence


class FilepipeError(Exception):
    """The root. `str()` of an instance is one sentence that a client may see."""

    code = "error"
    status = 500


class Refused(FilepipeError):
    """The request is at fault; repeating it unchanged will not help."""

    code = "refused"
    status = 400


class BadRequest(Refused):
    """Something in the request cannot be understood."""

    code = "bad_request"


class BadKey(BadRequest):
    """The key breaks a rule of `filepipe.keys`."""

    code = "bad_key"


class WrongLength(BadRequest):
    """Two lengths that were announced for one upload do not agree."""

    code = "wrong_length"


class Unauthorized(Refused):
    """No credential, or one that is not good."""

    code = "unauthorized"
    status = 401


class Forbidden(Refused):
    """Understood, but not allowed by the settings."""

    code = "forbidden"
    status = 403


class StaleEpoch(Forbidden):
    """The producer has begun anew since; `epoch` is the one that it is in."""

    code = "stale_epoch"

    def __init__(self, epoch: int) -> None:
        super().__init__(f"the producer is in epoch {epoch} now")
        self.epoch = epoch


class NotFound(Refused):
    """Nobody writes, or wrote, under this key."""

    code = "not_found"
    status = 404


class MethodNotAllowed(Refused):
    """The resource exists and knows other methods; `allow` lists them."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, message: str, allow: Sequence[str]) -> None:
        super().__init__(message)
        self.allow = tuple(allow)


class Conflict(Refused):
    """The key is in use."""

    code = "conflict"
    status = 409


class InTransfer(Conflict):
    """A sender and all of its receivers are there already."""

    code = "in_transfer"


class SenderPresent(Conflict):
    """Another sender waits under this key for its receivers."""

    code = "sender_present"


class WrongNumber(Conflict):
    """Everybody at a rendezvous states the same number of receivers; `expected` is that."""

    code = "wrong_number"

    def __init__(self, expected: int, stated: int) -> None:
        super().__init__(f"the number of receivers here is {expected}, not {stated}")
        self.expected = expected
        self.stated = stated


class SeatsTaken(Conflict):
    """As many receivers wait as were asked for."""

    code = "seats_taken"


class WrongOffset(Conflict):
    """An upload goes on at the offset `expected` in bytes, and not at `provided`."""

    code = "wrong_offset"

    def __init__(self, expected: int, provided: int) -> None:
        super().__init__(f"the upload goes on at offset {expected}, not {provided}")
        self.expected = expected
        self.provided = provided


class WriterPresent(Conflict):
    """Somebody else is appending to this log."""

    code = "writer_present"


class NotAtEnd(Conflict):
    """A log ends at the offset `end` in bytes, and not at `provided`."""

    code = "not_at_end"

    def __init__(self, end: int, provided: int) -> None:
        super().__init__(f"the log ends at offset {end}, not {provided}")
        self.end = end
        self.provided = provided


class LogClosed(Conflict):
    """Nothing can be added to a closed log; `end` is its length in bytes."""

    code = "log_closed"

    def __init__(self, end: int) -> None:
        super().__init__(f"the log is closed at offset {end}")
        self.end = end


class SequenceGap(Conflict):
    """A producer's record `expected` comes next, and not `received`."""

    code = "sequence_gap"

    def __init__(self, expected: int, received: int) -> None:
        super().__init__(f"record {expected} of this producer comes next, not {received}")
        self.expected = expected
        self.received = received


class Gone(Refused):
    """What was waited for has been removed (RFC 9110, 15.5.11)."""

    code = "gone"
    status = 410


class PreconditionFailed(Refused):
    """If-Match names another object than the one that is here (RFC 9110, 13.1.1)."""

    code = "precondition_failed"
    status = 412


class OtherVersion(Refused):
    """Tus-Resumable is missing, or names a version of tus that is not spoken here."""

    code = "other_version"
    status = 412


class TooLarge(Refused):
    """The body exceeds the limit for one object."""

    code = "too_large"
    status = 413


class PastLength(TooLarge):
    """An upload has more bytes than it was said to have."""

    code = "past_length"


class RangeNotSatisfiable(Refused):
    """The range lies outside the object; `length` is its length in bytes, None if unknown."""

    code = "range_not_satisfiable"
    status = 416

    def __init__(self, message: str, length: int | None) -> None:
        super().__init__(message)
        self.length = length


class Misdirected(Refused):
    """The Host header names somebody else (RFC 9110, 15.5.20)."""

    code = "misdirected"
    status = 421


class UpgradeRequired(Refused):
    """What is asked for takes a WebSocket (RFC 9110, 15.5.22)."""

    code = "upgrade_required"
    status = 426


class UnsupportedMedia(Refused):
    """The body is of a type that is not understood here (RFC 9110, 15.5.16)."""

    code = "unsupported_media"
    status = 415


class Unprocessable(Refused):
    """The body can be read, but is not what it has to be (RFC 9110, 15.5.21)."""

    code = "unprocessable"
    status = 422


class ExpectationFailed(Refused):
    """An Expect other than 100-continue (RFC 9110, 10.1.1)."""

    code = "expectation_failed"
    status = 417


class WrongChecksum(Refused):
    """The body does not have the checksum that came with it; nothing of it was kept."""

    code = "wrong_checksum"
    status = 460


class UnknownCoding(Refused):
    """A transfer coding that we do not speak (RFC 9112, 6.1)."""

    code = "unknown_coding"
    status = 501


class UnknownVersion(Refused):
    """A version of HTTP that we do not speak (RFC 9110, 15.6.6)."""

    code = "unknown_version"
    status = 505


class Unavailable(FilepipeError):
    """Try again later: the request was fine."""

    code = "unavailable"
    status = 503


class Draining(Unavailable):
    """The daemon is shutting down and takes nothing new."""

    code = "draining"


class Busy(Unavailable):
    """Somebody else is writing there just now."""

    code = "busy"


class OverBudget(Unavailable):
    """A limit of the accountant is reached; `budget` is its name (memory, disk)."""

    code = "over_budget"

    def __init__(self, message: str, budget: str) -> None:
        super().__init__(message)
        self.budget = budget


class DiskFull(Unavailable):
    """The file system has no room left."""

    code = "disk_full"


class TooManyFiles(Unavailable):
    """The process or the system has no file descriptors left."""

    code = "too_many_files"


class TooManyKeys(Unavailable):
    """The directory holds as many keys, or waiting readers, as it may."""

    code = "too_many_keys"


class NobodyCame(FilepipeError):
    """The other side of a rendezvous did not come within the wait."""

    code = "nobody_came"
    status = 408


class ForwardFailed(FilepipeError):
    """The target of X-Forward-Url failed; the local copy is whole."""

    code = "forward_failed"
    status = 502


class Broken(FilepipeError):
    """The writer of a channel ended without finishing: what was read is not the whole."""

    code = "broken"
    status = 502


class Stalled(Broken):
    """A peer moved no byte within its limit."""

    code = "stalled"
    status = 408


class StorageFailed(FilepipeError):
    """A storage failed; the object in question is lost and says so."""

    code = "storage_failed"


class StorageAway(StorageFailed):
    """The server of a storage cannot be reached just now; what is durable there is not lost."""

    code = "storage_away"
    status = 503


class ConfigError(FilepipeError):
    """A setting cannot be used; the sentence names it."""

    code = "config"
