"""Piping's sentences, and the types that become harmless."""

from __future__ import annotations

import pytest

from filepipe.errors import (
    BadKey,
    Broken,
    Conflict,
    Forbidden,
    InTransfer,
    NobodyCame,
    SeatsTaken,
    SenderPresent,
    WrongNumber,
)
from filepipe.protocols import piping
from filepipe.protocols.receivers import BadNumber

# each with the method and the sentence, for the path /p
REFUSALS = [
    (
        piping.reserved_path("/"),
        "POST",
        "Cannot send to the reserved path '/'. (e.g. '/mypath123')",
    ),
    (piping.content_range("PUT"), "PUT", "Content-Range is not supported for now in PUT"),
    (BadNumber("n is odd", None), "POST", 'Invalid "n" query parameter'),
    (BadNumber("n is odd", None), "PUT", 'Invalid "n" query parameter'),
    (BadNumber("n is odd", None), "GET", 'Invalid query parameter "n"'),
    (BadNumber("n is odd", 0), "GET", "n should > 0, but n = 0."),
    (BadNumber("n is odd", -3), "PUT", "n should > 0, but n = -3."),
    (BadNumber("n is not 1 to 2", 3), "PUT", "n is not 1 to 2, but n = 3."),
    (InTransfer("x"), "GET", "Connection on '/p' has been established already."),
    (SenderPresent("x"), "POST", "Another sender has been connected on '/p'."),
    (WrongNumber(2, 1), "GET", "The number of receivers should be 2 but 1."),
    (SeatsTaken("x"), "GET", "The number of receivers has reached limits."),
    (Forbidden("x"), "GET", "Service Worker registration is rejected."),
    (Conflict("key already exists"), "POST", "Key already exists."),
    (BadKey("key has a dot segment"), "GET", "Key has a dot segment."),
    (NobodyCame("nobody came within 3 seconds"), "POST", "Nobody came within 3 seconds."),
    (Broken(""), "GET", "."),
]


@pytest.mark.parametrize(("error", "method", "sentence"), REFUSALS)
def test_refusals(error: Exception, method: str, sentence: str) -> None:
    """Letter for letter, each in a line of its own."""
    assert piping.refusal(error, method, "/p") == f"[ERROR] {sentence}"


def test_what_a_sender_is_told() -> None:
    """His clients may look for these words."""
    assert piping.waiting(2) == "[INFO] Waiting for 2 receiver(s)..."
    assert piping.connected(1) == "[INFO] 1 receiver(s) has/have been connected."
    assert piping.started(3) == "[INFO] Start sending to 3 receiver(s)!"
    assert piping.still_waiting(59.7) == "[INFO] Still waiting after 60 seconds."
    assert piping.CONNECTED == "[INFO] A receiver was connected."
    assert piping.ABORTED == "[INFO] A receiver aborted."
    assert piping.SENT == "[INFO] Sent successfully!"
    assert piping.RECEIVED == "[INFO] All receiver(s) was/were received successfully."
    assert piping.ALL_ABORTED == "[INFO] All receiver(s) was/were aborted halfway."
    assert piping.FAILED == "[ERROR] Failed to send."


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (None, None),
        ("", ""),
        ("text/html", "text/plain"),
        ("text/html; charset=utf-8", "text/plain; charset=utf-8"),
        ("tExT/HtMl \t;charset=x", "text/plain;charset=x"),
        ("text/html;", "text/plain;"),
        ("text/html5", "text/html5"),
        ("text/plain; x=text/html", "text/plain; x=text/html"),
        ("application/xhtml+xml", "application/xhtml+xml"),
    ],
)
def test_harmless_types(sent: str | None, told: str | None) -> None:
    """A page is text, however it is written; everything else stays."""
    assert piping.harmless_type(sent) == told
