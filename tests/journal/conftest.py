"""A disk that forgets, a log on it, and a root for others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from filepipe.journal.files import LogFiles
from filepipe.journal.root import Root
from tests.journal.forgetful import (
    BIRTH,
    ForgetfulDisk,
)


@pytest.fixture
def disk() -> ForgetfulDisk:
    """A disk that can forget and fail."""
    return ForgetfulDisk()


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    """An empty folder for logs under their own names."""
    root = Root(tmp_path / "root", tmp_path / "daemon")
    yield root
    root.close()


@pytest.fixture
def files(tmp_path: Path, disk: ForgetfulDisk) -> LogFiles:
    """An empty log."""
    return LogFiles.create(tmp_path, BIRTH, disk)
