"""Each step looks and acts at once, and refuses what must not be."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from filepipe.channels import upload_steps as steps
from filepipe.errors import BadRequest, Busy, Conflict, NotFound, OverBudget
from filepipe.records import uploads as records
from filepipe.records.database import connect
from filepipe.records.uploads import Part
from tests.records.test_uploads import HASH, PENDING


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    """A database with one pending upload."""
    connection = connect(tmp_path / "uploads.db")
    records.insert(connection, PENDING)
    return connection


def fill(connection: sqlite3.Connection) -> None:
    """Store every part."""
    for number in range(PENDING.total_parts):
        records.store_part(connection, PENDING.id, Part(number, 1, HASH, 1.0), 9.0)


def test_nobody_has_more_than_the_most(connection: sqlite3.Connection) -> None:
    """Only open ones count, and only one's own."""
    with pytest.raises(OverBudget):
        steps.insert(connection, replace(PENDING, id="2"), 1)
    steps.insert(connection, replace(PENDING, id="3", principal="other"), 1)
    fill(connection)
    assert steps.begin_finishing(connection, PENDING.id)
    assert records.complete(connection, PENDING.id, "path", 9.0)
    steps.insert(connection, replace(PENDING, id="2"), 1)


def test_only_a_whole_is_finished(connection: sqlite3.Connection) -> None:
    """As often as it takes, until it is complete."""
    with pytest.raises(BadRequest, match="Not all parts uploaded: 0/"):
        steps.begin_finishing(connection, PENDING.id)
    fill(connection)
    assert steps.begin_finishing(connection, PENDING.id)
    assert steps.begin_finishing(connection, PENDING.id)
    assert steps.found(connection, PENDING.id).status == "finalizing"
    records.complete(connection, PENDING.id, "path", 9.0)
    assert not steps.begin_finishing(connection, PENDING.id)


def test_a_part_is_forgotten_only_in_time(connection: sqlite3.Connection) -> None:
    """Not while the upload is finished, nor later."""
    fill(connection)
    assert steps.forget_part(connection, PENDING.id, 0)
    assert records.part(connection, PENDING.id, 0) is None
    fill(connection)
    steps.begin_finishing(connection, PENDING.id)
    assert not steps.forget_part(connection, PENDING.id, 0)
    assert records.part(connection, PENDING.id, 0) is not None


def test_what_is_being_finished_stays(connection: sqlite3.Connection) -> None:
    """All else can be removed, once."""
    fill(connection)
    steps.begin_finishing(connection, PENDING.id)
    with pytest.raises(Conflict):
        steps.remove(connection, PENDING.id)
    records.fail(connection, PENDING.id, "why")
    assert steps.remove(connection, PENDING.id).error == "why"
    for step in (steps.remove, steps.begin_finishing, steps.found):
        with pytest.raises(NotFound):
            step(connection, PENDING.id)
    with pytest.raises(NotFound):
        steps.forget_part(connection, PENDING.id, 0)


def test_the_parts_of_what_goes_on(connection: sqlite3.Connection) -> None:
    """Who opens an upload that is complete by now has to look again."""
    fill(connection)
    assert steps.numbers(connection, PENDING.id) == list(range(PENDING.total_parts))
    steps.begin_finishing(connection, PENDING.id)
    records.complete(connection, PENDING.id, "path", 9.0)
    with pytest.raises(Busy):
        steps.numbers(connection, PENDING.id)
