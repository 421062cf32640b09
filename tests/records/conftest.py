"""Databases in real files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from filepipe.records.database import Database


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A new one, at `tmp_path / "uploads.db"`."""
    opened = await Database.open(tmp_path / "uploads.db")
    yield opened
    await opened.aclose()
