"""Beam's sentences."""

import pytest

from filepipe.errors import (
    BadRequest,
    Broken,
    Conflict,
    Draining,
    FilepipeError,
    InTransfer,
    NobodyCame,
    SenderPresent,
    TooLarge,
)
from filepipe.protocols.beam import failed_upload, refused_upload, waiting_streams


def test_the_dashboard() -> None:
    """Names as the original shows them, or their number."""
    assert waiting_streams([]) == "Streams waiting for download: []"
    assert waiting_streams(["x", "y"]) == 'Streams waiting for download: ["x", "y"]'
    assert waiting_streams(['ä"']) == r'Streams waiting for download: ["ä\""]'
    assert waiting_streams(0) == "Streams waiting for download: 0"


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (SenderPresent("x"), (409, "An upload is already in progress for this filename")),
        (InTransfer("x"), (409, "An upload is already in progress for this filename")),
        (Conflict("key already exists"), (409, "key already exists")),
        (TooLarge("too much"), (413, "too much")),
    ],
)
def test_a_refusal(error: FilepipeError, answer: tuple[int, str]) -> None:
    """A second upload is told in the original's words."""
    assert refused_upload(error) == answer


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (NobodyCame("x"), (400, "Upload failed: Timeout waiting for download client")),
        (
            BadRequest("upload failed: the body's framing is broken"),
            (400, "Upload failed: Stream error: the body's framing is broken"),
        ),
        (Broken("the receiver left"), (502, "Upload failed: the receiver left")),
        (Draining("server is shutting down"), (503, "Upload failed: server is shutting down")),
    ],
)
def test_a_failure(error: FilepipeError, answer: tuple[int, str]) -> None:
    """It says that it is one, and why."""
    assert failed_upload(error) == answer
