"""The outbox: events are added with what they tell, and wait in order."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from filepipe.records import outbox, uploads
from filepipe.records.database import connect
from filepipe.records.outbox import Event
from tests.records.test_uploads import PENDING

EVENT = Event(
    id="msg_1", url="http://x/?y", kind="upload.complete", upload="u", filename="ä'b", folder=None,
    total_size=2**62, storage="local", final_path="a", error=None, happened=10.0, attempts=0,
    due=10.0,
)  # fmt: skip


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A new database, outside any transaction."""
    opened = connect(tmp_path / "uploads.db")
    yield opened
    opened.close()


def test_what_is_due_comes_in_order(connection: sqlite3.Connection) -> None:
    """As it was put in, and nothing before its time."""
    assert outbox.next_due(connection) is None
    events = [
        dataclasses.replace(EVENT, id=f"msg_{due}", upload=f"u{due}", due=float(due))
        for due in (3, 1, 2)
    ]
    for event in events:
        outbox.insert(connection, event)
    assert outbox.next_due(connection) == 1.0
    assert outbox.due(connection, 0.9, 9) == []
    assert outbox.due(connection, 2.0, 9) == [events[1], events[2]]
    assert outbox.due(connection, 9.0, 1) == [events[1]]


def test_what_is_put_off_comes_later(connection: sqlite3.Connection) -> None:
    """With one more attempt; what is removed does not come."""
    outbox.insert(connection, EVENT)
    outbox.put_off(connection, EVENT.id, 20.0)
    assert outbox.due(connection, 19.0, 9) == []
    assert outbox.due(connection, 20.0, 9) == [dataclasses.replace(EVENT, attempts=1, due=20.0)]
    outbox.remove(connection, EVENT.id)
    assert outbox.next_due(connection) is None


def test_one_upload_does_not_fill_it(connection: sqlite3.Connection) -> None:
    """Of what nobody has heard yet the latest is kept, and its target is not asked more often."""
    outbox.insert(connection, EVENT)
    outbox.put_off(connection, EVENT.id, 20.0)
    again = dataclasses.replace(EVENT, id="msg_2", happened=11.0, due=11.0, error="another")
    outbox.insert(connection, again)
    assert outbox.due(connection, 99.0, 9) == [dataclasses.replace(again, attempts=1, due=20.0)]
    outbox.put_off(connection, EVENT.id, 0.0)  # the first one was under way: nothing comes of it
    outbox.remove(connection, EVENT.id)
    other = dataclasses.replace(EVENT, id="msg_3", kind="upload.failed")
    for event in (other, dataclasses.replace(EVENT, id="msg_4", upload="another")):
        outbox.insert(connection, event)
    assert {event.id for event in outbox.due(connection, 99.0, 9)} == {"msg_2", "msg_3", "msg_4"}


def test_the_end_of_an_upload_is_an_event(connection: sqlite3.Connection) -> None:
    """Of each end, once, and it outlives the upload; a move that does not happen is none."""
    wanted = dataclasses.replace(PENDING, webhook_url="http://x", folder="in")
    uploads.insert(connection, wanted)
    assert not uploads.complete(connection, "u", "a.bin", 99.0)
    uploads.begin_finalizing(connection, "u")
    uploads.fail(connection, "u", "why")
    uploads.begin_finalizing(connection, "u")
    uploads.complete(connection, "u", "in/a.bin", 99.0)
    uploads.delete(connection, "u")
    failed, complete = outbox.due(connection, float("inf"), 9)
    assert (failed.kind, failed.error, failed.final_path) == ("upload.failed", "why", None)
    assert (complete.kind, complete.error) == ("upload.complete", None)
    assert (complete.final_path, complete.folder, complete.url) == ("in/a.bin", "in", "http://x")
    assert failed.id != complete.id


def test_without_a_webhook_there_is_no_event(connection: sqlite3.Connection) -> None:
    """Nor is there one of a failure that only a restart has made."""
    uploads.insert(connection, PENDING)
    uploads.begin_finalizing(connection, "u")
    uploads.complete(connection, "u", "a.bin", 99.0)
    uploads.insert(
        connection,
        dataclasses.replace(PENDING, id="v", webhook_url="http://x", status="finalizing"),
    )
    assert len(uploads.reset_finalizing(connection, "restarted")) == 1
    assert outbox.next_due(connection) is None


def test_what_is_rolled_back_is_no_event(connection: sqlite3.Connection) -> None:
    """The event and what it tells are one transaction."""
    uploads.insert(
        connection, dataclasses.replace(PENDING, webhook_url="http://x", status="finalizing")
    )
    connection.execute("BEGIN")
    uploads.complete(connection, "u", "a.bin", 99.0)
    connection.execute("ROLLBACK")
    assert outbox.next_due(connection) is None
