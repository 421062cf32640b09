"""Uploads as rows: compared with a model of dictionaries, and one by one."""

from __future__ import annotations

import dataclasses
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from filepipe.errors import Conflict, NotFound
from filepipe.records import uploads
from filepipe.records.database import connect
from filepipe.records.uploads import MOVES, Event, Part, Status, Upload

PENDING = Upload(
    id="u", principal="me", filename="a.bin", folder=None, storage="local", handle="u",
    front="uploads", key=None, notes="{}", total_size=100, offset=None, chunk_size=50,
    total_parts=2, status="pending", unique=True,
    checksum_sha256=None, webhook_url=None, final_path=None, error=None, progress=0,
    created=10.0, active=10.0, expires=20.0,
)  # fmt: skip
HASH = "0123456789abcdef" * 4


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A new database, outside any transaction."""
    opened = connect(tmp_path / "uploads.db")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "upload",
    [
        PENDING,
        dataclasses.replace(
            PENDING, filename="ä\u202e\x00'\";--", folder="b/c", total_size=2**62, unique=False,
            checksum_sha256=HASH, webhook_url="https://x/?y", status="failed", error="why",
        ),
    ],
)  # fmt: skip
def test_what_is_inserted_is_found(connection: sqlite3.Connection, upload: Upload) -> None:
    """Every field as it was, and of its type."""
    uploads.insert(connection, upload)
    found = uploads.find(connection, upload.id)
    assert found == upload
    assert isinstance(found.unique, bool)
    assert uploads.find(connection, "other") is None


EVENTS: dict[Event, object] = {
    "store": lambda c: uploads.store_part(c, "u", Part(0, 50, HASH, 11.0), 30.0),
    "finalize": lambda c: uploads.begin_finalizing(c, "u"),
    "complete": lambda c: uploads.complete(c, "u", "a.bin", 99.0),
    "fail": lambda c: uploads.fail(c, "u", "why"),
}


@pytest.mark.parametrize("event", MOVES)
@pytest.mark.parametrize("status", ["pending", "finalizing", "complete", "failed"])
def test_a_status_follows_the_table(
    connection: sqlite3.Connection, status: Status, event: Event
) -> None:
    """Where the table has nothing, nothing changes."""
    before = dataclasses.replace(PENDING, status=status)
    uploads.insert(connection, before)
    try:
        happened = bool(EVENTS[event](connection))  # type: ignore[operator]
    except Conflict:
        happened = False
    found = uploads.find(connection, "u")
    assert found
    assert happened == (status in MOVES[event])
    assert found.status == MOVES[event].get(status, status)
    assert happened or found == before


@pytest.mark.parametrize("event", EVENTS)
def test_an_upload_that_is_gone_is_said_to_be(connection: sqlite3.Connection, event: Event) -> None:
    """A cancel that came first is the client's answer, not a defect."""
    with pytest.raises(NotFound, match="no such upload"):
        EVENTS[event](connection)  # type: ignore[operator]


def test_a_new_finalizing_forgets_why_the_last_failed(connection: sqlite3.Connection) -> None:
    """A client that asks meanwhile must not read an old error."""
    uploads.insert(connection, PENDING)
    uploads.fail(connection, "u", "why")
    uploads.begin_finalizing(connection, "u")
    uploads.progress(connection, "u", 40)
    found = uploads.find(connection, "u")
    assert found
    assert (found.error, found.progress) == (None, 40)
    uploads.complete(connection, "u", "a.bin", 99.0)
    uploads.progress(connection, "u", 41)
    found = uploads.find(connection, "u")
    assert found
    assert (found.progress, found.final_path, found.expires) == (100, "a.bin", 99.0)


def test_what_a_restart_finds_finalizing_has_failed(connection: sqlite3.Connection) -> None:
    """And can be finalized again."""
    for number, status in enumerate(("pending", "finalizing", "complete", "finalizing")):
        uploads.insert(
            connection,
            dataclasses.replace(PENDING, id=str(number), status=status),  # type: ignore[arg-type]
        )
    reset = uploads.reset_finalizing(connection, "restarted")
    assert {upload.id: (upload.status, upload.error) for upload in reset} == {
        "1": ("failed", "restarted"), "3": ("failed", "restarted"),
    }  # fmt: skip
    assert uploads.begin_finalizing(connection, "1")
    assert uploads.reset_finalizing(connection, "x") != []
    assert uploads.reset_finalizing(connection, "x") == []


def test_a_listing_goes_backwards_in_time(connection: sqlite3.Connection) -> None:
    """Page by page, and only what belongs to the principal."""
    for number in range(5):
        made = dataclasses.replace(PENDING, id=str(number), created=float(number))
        uploads.insert(connection, made)
    uploads.insert(connection, dataclasses.replace(PENDING, id="x", principal="other"))
    pages = [
        [upload.id for upload in uploads.listing(connection, "me", 2, before)]
        for before in (None, "3", "1", "0")
    ]
    assert pages == [["4", "3"], ["2", "1"], ["0"], []]
    for stranger in ("x", "gone"):
        with pytest.raises(NotFound):
            uploads.listing(connection, "me", 2, stranger)


def test_a_listing_loses_none_of_the_same_moment(connection: sqlite3.Connection) -> None:
    """A page may end between uploads that began at once."""
    for name in "abcde":
        uploads.insert(connection, dataclasses.replace(PENDING, id=name))
    seen: list[str] = []
    while page := uploads.listing(connection, "me", 2, seen[-1] if seen else None):
        seen += [upload.id for upload in page]
    assert sorted(seen) == list("abcde")


def test_an_activity_lets_an_upload_live_on(connection: sqlite3.Connection) -> None:
    """Parts and whatever else counts as one."""
    uploads.insert(connection, PENDING)
    uploads.store_part(connection, "u", Part(1, 50, HASH, 15.0), 25.0)
    found = uploads.find(connection, "u")
    assert found
    assert (found.active, found.expires) == (15.0, 25.0)
    uploads.touch(connection, "u", 16.0, 26.0)
    assert [len(uploads.expired(connection, now, 9)) for now in (25.0, 26.0)] == [0, 1]


def test_only_what_is_unfinished_expires(connection: sqlite3.Connection) -> None:
    """Not while its bytes are being moved, and not once somebody can rely on them."""
    for status in ("pending", "finalizing", "complete", "failed"):
        made = dataclasses.replace(PENDING, id=status, status=status)  # type: ignore[arg-type]
        uploads.insert(connection, made)
    gone = [upload.id for upload in uploads.expired(connection, PENDING.expires, 9)]
    assert gone == ["failed", "pending"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM uploads WHERE principal = 'me' AND (created, id) < (5, 'x') LIMIT 9",
        "SELECT * FROM uploads WHERE expires <= 5 AND status IN ('pending') ORDER BY expires",
        "SELECT count(*) FROM parts WHERE upload = 'u'",
    ],
)
def test_what_is_asked_often_has_an_index(connection: sqlite3.Connection, query: str) -> None:
    """No question reads every upload there is."""
    plan = str(connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall())
    assert "SEARCH" in plan
    assert "SCAN" not in plan


# -- against a model

NUMBERS = st.integers(0, 4)
TIMES = st.integers(0, 50).map(float)


class Records(RuleBasedStateMachine):
    """The same calls to the tables and to dictionaries."""

    ids: Bundle[str] = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.connection = connect(Path(self.folder.name) / "uploads.db")
        self.connection.execute("PRAGMA synchronous=OFF")
        self.uploads: dict[str, Upload] = {}
        self.parts: dict[str, dict[int, Part]] = {}

    def teardown(self) -> None:
        self.connection.close()
        self.folder.cleanup()

    def change(self, upload_id: str, **values: object) -> None:
        """Replace fields of the model's upload."""
        self.uploads[upload_id] = dataclasses.replace(self.uploads[upload_id], **values)  # type: ignore[arg-type]

    @rule(
        target=ids, principal=st.sampled_from(["me", "you"]), size=st.integers(0, 2**40), at=TIMES
    )
    def insert(self, principal: str, size: int, at: float) -> str:
        """One more upload, each with a time of its own."""
        number = len(self.parts)
        upload = dataclasses.replace(
            PENDING, id=f"u{number}", principal=principal, total_size=size,
            created=number / 1000, expires=at,
        )  # fmt: skip
        uploads.insert(self.connection, upload)
        self.uploads[upload.id] = upload
        self.parts[upload.id] = {}
        return upload.id

    @rule(upload_id=ids, number=NUMBERS, at=TIMES, expires=TIMES)
    def store(self, upload_id: str, number: int, at: float, expires: float) -> None:
        """A part, perhaps once more."""
        part = Part(number, 50, f"{number:064d}", at)
        if upload_id not in self.uploads:
            with pytest.raises(NotFound):
                uploads.store_part(self.connection, upload_id, part, expires)
        elif self.uploads[upload_id].status in ("finalizing", "complete"):
            with pytest.raises(Conflict):
                uploads.store_part(self.connection, upload_id, part, expires)
        else:
            stored = uploads.store_part(self.connection, upload_id, part, expires)
            self.parts[upload_id][number] = part
            self.change(upload_id, active=at, expires=expires)
            assert stored == len(self.parts[upload_id])

    @rule(upload_id=ids, number=NUMBERS)
    def forget(self, upload_id: str, number: int) -> None:
        """A part is found to be bad."""
        uploads.forget_part(self.connection, upload_id, number)
        self.parts[upload_id].pop(number, None)

    @rule(upload_id=ids)
    def finalize(self, upload_id: str) -> None:
        """Everybody may ask, one begins."""
        if upload_id in self.uploads:
            begun = uploads.begin_finalizing(self.connection, upload_id)
            assert begun == (self.uploads[upload_id].status in ("pending", "failed"))
            if begun:
                self.change(upload_id, status="finalizing", error=None, progress=0)

    @rule(upload_id=ids, percent=st.integers(0, 100))
    def progress(self, upload_id: str, percent: int) -> None:
        """Also when it is too late."""
        uploads.progress(self.connection, upload_id, percent)
        if upload_id in self.uploads and self.uploads[upload_id].status == "finalizing":
            self.change(upload_id, progress=percent)

    @rule(upload_id=ids, expires=TIMES)
    def complete(self, upload_id: str, expires: float) -> None:
        """Only what is being finalized."""
        if upload_id in self.uploads:
            done = uploads.complete(self.connection, upload_id, "x", expires)
            assert done == (self.uploads[upload_id].status == "finalizing")
            if done:
                self.change(
                    upload_id, status="complete", final_path="x", progress=100, expires=expires
                )

    @rule(upload_id=ids)
    def fail(self, upload_id: str) -> None:
        """Whatever is not over."""
        if upload_id in self.uploads:
            failed = uploads.fail(self.connection, upload_id, "why")
            assert failed == (self.uploads[upload_id].status in ("pending", "finalizing"))
            if failed:
                self.change(upload_id, status="failed", error="why")

    @rule()
    def restart(self) -> None:
        """Close, open, and let fail what was being finalized."""
        self.connection.close()
        self.connection = connect(Path(self.folder.name) / "uploads.db")
        reset = {upload.id for upload in uploads.reset_finalizing(self.connection, "restarted")}
        assert reset == {each.id for each in self.uploads.values() if each.status == "finalizing"}
        for upload_id in reset:
            self.change(upload_id, status="failed", error="restarted")

    @rule(upload_id=consumes(ids))
    def delete(self, upload_id: str) -> None:
        """With its parts."""
        assert uploads.delete(self.connection, upload_id) == (upload_id in self.uploads)
        self.uploads.pop(upload_id, None)
        self.parts[upload_id] = {}

    @rule(now=TIMES, limit=st.integers(1, 3))
    def expire(self, now: float, limit: int) -> None:
        """As a sweep does, a bounded number at a time."""
        due = [each for each in self.uploads.values() if each.expires <= now]
        due = [each for each in due if each.status in ("pending", "failed")]
        due.sort(key=lambda each: (each.expires, each.id))
        assert uploads.expired(self.connection, now, limit) == due[:limit]
        for upload in due[:limit]:
            uploads.delete(self.connection, upload.id)
            self.uploads.pop(upload.id)
            self.parts[upload.id] = {}

    @invariant()
    def agree(self) -> None:
        """Every question has the model's answer."""
        for upload_id, stored in self.parts.items():
            assert uploads.find(self.connection, upload_id) == self.uploads.get(upload_id)
            assert uploads.parts(self.connection, upload_id) == [stored[n] for n in sorted(stored)]
            assert uploads.stored_parts(self.connection, upload_id) == len(stored)
            assert uploads.part(self.connection, upload_id, 3) == stored.get(3)
        for principal in ("me", "you"):
            theirs = [each for each in self.uploads.values() if each.principal == principal]
            theirs.sort(key=lambda each: (each.created, each.id), reverse=True)
            assert uploads.listing(self.connection, principal, 99) == theirs
            undone = [each.total_size or 0 for each in theirs if each.status != "complete"]
            assert uploads.count_open(self.connection, principal) == len(undone)
            assert uploads.bytes_open(self.connection, principal) == sum(undone)


TestRecords = Records.TestCase
TestRecords.settings = settings(max_examples=30, stateful_step_count=30)
