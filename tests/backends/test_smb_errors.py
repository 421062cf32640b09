"""What a client hears when an SMB server says no."""

from __future__ import annotations

import pytest

from filepipe.errors import DiskFull, FilepipeError, StorageAway, StorageFailed, TooManyFiles
from filepipe_backends.smb_errors import Lost, Refusal, Rejected, Unreachable, translated


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (Refusal(0xC000007F), DiskFull, "disk full, try again later"),
        (Refusal(0xC0000044), DiskFull, "disk full, try again later"),
        (Refusal(0xC000011F), TooManyFiles, "too many open files, try again later"),
        (Refusal(0xC0000022), StorageFailed, "the storage failed: access denied"),
        (Refusal(0xC0000185), StorageFailed, "the storage failed: the server's disk failed"),
        (Refusal(0xC0DE), StorageFailed, "the storage failed: SMB status 0x0000c0de"),
        (Unreachable("why"), StorageAway, "the storage is away: why"),
        (Rejected("why"), StorageAway, "the storage is away: why"),
        (Lost(), StorageAway, "the storage is away: the connection to the SMB server was lost"),
    ],
)
def test_a_sentence_for_each(
    error: Lost | Refusal | Rejected | Unreachable, kind: type[FilepipeError], sentence: str
) -> None:
    """A class that fits, and nothing of where the share is."""
    told = translated(error)
    assert type(told) is kind
    assert str(told) == sentence
