"""Uploads by the offset as rows, beside those in parts."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from filepipe.errors import Conflict, NotFound
from filepipe.records import offsets, uploads
from filepipe.records.database import connect
from tests.records.test_uploads import PENDING

BEGUN = dataclasses.replace(
    PENDING, id="o", front="tus", key="a/b", notes='{"x": "y"}', total_size=None, offset=0,
    chunk_size=0, total_parts=0,
)  # fmt: skip


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A new database with one upload of each sort."""
    opened = connect(tmp_path / "uploads.db")
    uploads.insert(opened, PENDING)
    uploads.insert(opened, BEGUN)
    yield opened
    opened.close()


def test_an_upload_grows(connection: sqlite3.Connection) -> None:
    """What came is noted with the moment; the length when it is known."""
    assert uploads.find(connection, "o") == BEGUN
    offsets.append(connection, "o", 70, 12.0, 22.0)
    offsets.set_length(connection, "o", 80)
    assert uploads.find(connection, "o") == dataclasses.replace(
        BEGUN, offset=70, active=12.0, expires=22.0, total_size=80
    )
    uploads.begin_finalizing(connection, "o")
    with pytest.raises(Conflict, match="takes no bytes"):
        offsets.append(connection, "o", 80, 13.0, 23.0)
    with pytest.raises(NotFound):
        offsets.append(connection, "gone", 1, 13.0, 23.0)


def test_each_sort_is_asked_for_by_itself(connection: sqlite3.Connection) -> None:
    """But the limits of a principal and the drafts that are needed count both."""
    assert offsets.unfinished(connection) == [BEGUN]
    assert uploads.listing(connection, "me", 9) == [PENDING]
    assert uploads.expired(connection, 99.0, 9) == [PENDING]
    assert offsets.expired(connection, 99.0, 9) == [BEGUN]
    assert uploads.count_open(connection, "me") == 2
    assert uploads.bytes_open(connection, "me") == 100
    uploads.begin_finalizing(connection, "o")
    uploads.begin_finalizing(connection, "u")
    assert offsets.expired(connection, 99.0, 9) == []
    assert [each.id for each in uploads.reset_finalizing(connection, "x", by_offset=True)] == ["o"]
    assert [each.id for each in uploads.reset_finalizing(connection, "x")] == ["u"]


def test_a_complete_one_expires_too(connection: sqlite3.Connection) -> None:
    """Its record, or its record and its file: that is for others to say."""
    uploads.begin_finalizing(connection, "o")
    uploads.complete(connection, "o", "keys/o", 50.0)
    assert offsets.expired(connection, 49.0, 9) == []
    assert [each.id for each in offsets.expired(connection, 50.0, 9)] == ["o"]
