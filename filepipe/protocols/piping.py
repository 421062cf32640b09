"""Piping: its texts, word for word as its clients know them, and what a type becomes.

Each text is a line; the newline is the writer's.
"""

from __future__ import annotations

from typing import Final

from filepipe.errors import (
    BadRequest,
    FilepipeError,
    Forbidden,
    InTransfer,
    SeatsTaken,
    SenderPresent,
    WrongNumber,
)
from filepipe.protocols.receivers import BadNumber

RESERVED: Final = frozenset({"", "noscript", "version", "help", "favicon.ico", "robots.txt"})

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "OPTIONS")

PREFLIGHT: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": ", ".join(METHODS),
    "Access-Control-Allow-Headers": "Content-Type, Content-Disposition, X-Piping",
    "Access-Control-Expose-Headers": "Access-Control-Allow-Headers",
    "Access-Control-Max-Age": "86400",
}

CONNECTED: Final = "[INFO] A receiver was connected."
ABORTED: Final = "[INFO] A receiver aborted."
SENT: Final = "[INFO] Sent successfully!"
RECEIVED: Final = "[INFO] All receiver(s) was/were received successfully."
ALL_ABORTED: Final = "[INFO] All receiver(s) was/were aborted halfway."
FAILED: Final = "[ERROR] Failed to send."


def waiting(number: int) -> str:
    """What a sender is told at once."""
    return f"[INFO] Waiting for {number} receiver(s)..."


def connected(count: int) -> str:
    """What a sender is told of receivers who came before."""
    return f"[INFO] {count} receiver(s) has/have been connected."


def started(number: int) -> str:
    """What a sender is told when all receivers are there."""
    return f"[INFO] Start sending to {number} receiver(s)!"


def still_waiting(seconds: float) -> str:
    """What keeps a long-waiting sender's connection alive."""
    return f"[INFO] Still waiting after {seconds:.0f} seconds."


def refusal(error: FilepipeError, method: str, path: str) -> str:
    """The sentence for a sender's or receiver's refusal on `path`."""
    match error:
        case OriginalText():
            text = str(error)
        case InTransfer():
            text = f"Connection on '{path}' has been established already."
        case SenderPresent():
            text = f"Another sender has been connected on '{path}'."
        case WrongNumber():
            text = f"The number of receivers should be {error.expected} but {error.stated}."
        case SeatsTaken():
            text = "The number of receivers has reached limits."
        case Forbidden():
            text = "Service Worker registration is rejected."
        case BadNumber():
            text = _bad_number(error, method)
        case _:
            text = f"{str(error)[:1].upper()}{str(error)[1:]}."
    return f"[ERROR] {text}"


def _bad_number(error: BadNumber, method: str) -> str:
    if error.value is None:
        receiving = method == "GET"
        return 'Invalid query parameter "n"' if receiving else 'Invalid "n" query parameter'
    wanted = "n should > 0" if error.value <= 0 else str(error)
    return f"{wanted}, but n = {error.value}."


class OriginalText(BadRequest):
    """A refusal whose sentence is the original's, letter for letter."""


def reserved_path(path: str) -> OriginalText:
    """Somebody wants to send to a path that is a page."""
    return OriginalText(f"Cannot send to the reserved path '{path}'. (e.g. '/mypath123')")


def content_range(method: str) -> OriginalText:
    """Somebody wants to go on with a body, of which nothing was kept."""
    return OriginalText(f"Content-Range is not supported for now in {method}")


def harmless_type(content_type: str | None) -> str | None:
    """The type that a receiver is told: a page becomes text, with its parameters.

    The original compares exactly; a type in other letters would be a page again.
    """
    if content_type is None:
        return None
    kind, semicolon, parameters = content_type.partition(";")
    if kind.strip(" \t").lower() != "text/html":
        return content_type
    return f"text/plain{semicolon}{parameters}"
