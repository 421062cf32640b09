"""From paths to keys."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from filepipe.errors import Conflict, NotFound, StorageFailed
from filepipe_backends.s3_names import Names


@pytest.mark.parametrize(
    ("prefix", "key"), [("", "a/b"), ("p", "p/a/b"), ("p/", "p/a/b"), ("/p/q/", "p/q/a/b")]
)
def test_the_key_of_a_path(prefix: str, key: str) -> None:
    """Below the prefix, however that is written."""
    assert Names(prefix).key("a/b") == key


@pytest.mark.parametrize(
    "path", ["", ".", "..", "/a", "a/", "a//b", "a/../b", "./a", ".filepipe-parts/a", "ü" * 513]
)
def test_no_object_is_there(path: str) -> None:
    """Neither of a name that leads out, nor of one that no server takes."""
    names = Names("prefix")
    with pytest.raises(NotFound):
        names.key(path)
    if path not in ("", "./a", "a/", "a//b"):  # a path of these segments is another one
        with pytest.raises(Conflict):
            next(names.candidates(PurePosixPath(path), "handle", unique=True))


def test_drafts_are_apart() -> None:
    """In a folder that no path leads to; a handle is no path."""
    names = Names("p")
    assert names.draft("a-b_C9") == "p/.filepipe-parts/a-b_C9"
    for handle in ("", "../a", "a/b", "-a", "a" * 65):
        with pytest.raises(StorageFailed):
            names.draft(handle)


def test_names_that_are_tried() -> None:
    """One, or one with numbers and at last with the handle."""
    names = Names("")
    path = PurePosixPath("f/a.tar.gz")
    assert list(names.candidates(path, "h", unique=False)) == ["f/a.tar.gz"]
    tried = list(names.candidates(path, "h", unique=True))
    assert tried[:2] == ["f/a.tar.gz", "f/a (1).tar.gz"]
    assert tried[-1] == "f/a (h).tar.gz"
