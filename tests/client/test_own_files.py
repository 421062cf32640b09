"""Files of ours: never somebody else's, never half of one."""

import os
from pathlib import Path

import pytest

from filepipe.client import own_files


def test_a_lock_is_for_one(tmp_path: Path) -> None:
    """The second one hears why, and may have it afterwards."""
    path = tmp_path / "f"
    first = own_files.locked(path, "somebody has it")
    with pytest.raises(OSError, match="somebody has it"):
        own_files.locked(path, "somebody has it")
    os.close(first)
    os.close(own_files.locked(path, "somebody has it"))


def test_the_lock_of_a_removed_file_is_none(tmp_path: Path) -> None:
    """Who comes after it was removed has a file of its own."""
    path = tmp_path / "f"
    first = own_files.locked(path, "somebody has it")
    path.unlink()
    second = own_files.locked(path, "somebody has it")
    assert os.fstat(second).st_ino == path.stat().st_ino
    os.close(first)
    os.close(second)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """What it leads to is not ours."""
    (tmp_path / "other").write_bytes(b"kept")
    (tmp_path / "f").symlink_to("other")
    with pytest.raises(OSError, match="Too many levels"):
        own_files.locked(tmp_path / "f", "busy")
    with pytest.raises(OSError, match="Too many levels"):
        own_files.own(tmp_path / "f", os.O_WRONLY)
    assert (tmp_path / "other").read_bytes() == b"kept"


def test_what_is_replaced_is_whole_and_private(tmp_path: Path) -> None:
    """Old or new, and nobody else may read it, whatever the mask."""
    path = tmp_path / "f"
    before = os.umask(0)
    try:
        own_files.replace(path, b"one")
        own_files.replace(path, b"two")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["f"]


def test_replacing_leaves_the_old_one_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails in the middle costs nothing that was there."""

    def fail(_: int) -> None:
        raise OSError(5, "no")

    path = tmp_path / "f"
    own_files.replace(path, b"one")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no"):
        own_files.replace(path, b"two")
    assert path.read_bytes() == b"one"
