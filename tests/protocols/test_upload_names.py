"""Names of uploads: kept as they are, or refused with a sentence."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.errors import BadRequest
from filepipe.protocols.upload_names import upload_path

GOOD = ["a", "a.bin", "My Videos/été.mp4", "/leading", "a b/c;d", "..a/b..", "…", "a" * 255]
BAD = [
    "", "/", "a/", "//a", "a//b", "..", "../a", "a/../b", "a/..", ".", "./a", "a\\b", "a\x00b",
    "a\nb", "\u202ea", "e\u0301", "a" * 256, "é" * 128, "/".join(["a" * 200] * 6), "\ud800",
    ".filepipe-parts/x",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_name_that_is_kept(name: str) -> None:
    """Every character of it."""
    assert str(upload_path(name)) == name.removeprefix("/")


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_is_refused(name: str) -> None:
    """Traversal, ambiguity, and what no file system takes."""
    with pytest.raises(BadRequest, match="filename"):
        upload_path(name)


@given(st.text(max_size=40))
def test_it_stays_below_its_root(name: str) -> None:
    """Whatever is accepted names something below, and the same thing again."""
    try:
        path = upload_path(name)
    except BadRequest:
        return
    assert not path.is_absolute()
    assert os.path.normpath(f"/root/{path}") == f"/root/{path}"
    assert upload_path(str(path)) == path
