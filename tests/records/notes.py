"""A table to write to, and the sentence of a refusal."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from filepipe.errors import ConfigError
from filepipe.records.database import Database

MAKE = "CREATE TABLE IF NOT EXISTS notes (number INTEGER PRIMARY KEY, text BLOB)"


def note(connection: sqlite3.Connection, number: int, size: int = 1) -> None:
    """Write one row."""
    connection.execute("INSERT INTO notes VALUES (?, zeroblob(?))", (number, size))


def numbers(connection: sqlite3.Connection) -> list[int]:
    """What is written."""
    return [row[0] for row in connection.execute("SELECT number FROM notes ORDER BY number")]


async def refusal(path: Path) -> str:
    """The one sentence with which a file is refused."""
    with pytest.raises(ConfigError) as caught:
        await Database.open(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"database_path: {path}")
    assert "\n" not in sentence
    return sentence
