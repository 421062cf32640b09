"""A disk that forgets, and a log on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from filepipe.journal.files import LogFiles
from tests.journal.forgetful import (
    BIRTH,
    ForgetfulDisk,
)


@pytest.fixture
def disk() -> ForgetfulDisk:
    """A disk that can forget and fail."""
    return ForgetfulDisk()


@pytest.fixture
def files(tmp_path: Path, disk: ForgetfulDisk) -> LogFiles:
    """An empty log."""
    return LogFiles.create(tmp_path, BIRTH, disk)
