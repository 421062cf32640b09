"""Whole objects in a folder of the local disk."""

import pytest

from filepipe.testing import ShelfSuite
from filepipe_backends.local import LocalShelf


@pytest.fixture
def make(tmp_path):
    """Open a shelf whose drafts are on the same file system, in the daemon's own folder."""
    return lambda: LocalShelf(str(tmp_path / "objects"), tmp_path / "own" / "parts")


class TestLocal(ShelfSuite):
    """The suite that every shelf passes."""
