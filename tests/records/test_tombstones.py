"""What is remembered of uploads that are gone."""

from __future__ import annotations

from pathlib import Path

from filepipe.records import tombstones
from filepipe.records.database import connect


def test_who_is_gone_is_remembered_for_a_while(tmp_path: Path) -> None:
    """Buried twice is fine; the older ones are forgotten first."""
    connection = connect(tmp_path / "uploads.db")
    for name, at in (("a", 1.0), ("b", 2.0), ("a", 3.0)):
        tombstones.bury(connection, name, at)
    tombstones.forget(connection, 3.0)
    assert [tombstones.is_buried(connection, name) for name in "abc"] == [True, False, False]
    connection.close()
