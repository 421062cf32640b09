"""Objects in a bucket, at a real server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from filepipe.errors import ConfigError
from filepipe.storage.interface import Shelf
from filepipe.testing import ShelfSuite
from filepipe_backends.s3 import S3Shelf
from tests.s3 import S3


@pytest.fixture
def make(s3: S3, tmp_path: Path) -> Callable[[], Shelf]:
    """Open the shelf of this test."""
    return lambda: S3Shelf(s3.location(), tmp_path / "own")


class TestS3(ShelfSuite):
    """The suite that every shelf passes."""


@pytest.mark.parametrize("location", ["", "/prefix", "?region=x"])
def test_a_bucket_has_a_name(location: str, tmp_path: Path) -> None:
    """Without one there is nothing to keep uploads in."""
    with pytest.raises(ConfigError, match="need a bucket"):
        S3Shelf(location, tmp_path)
