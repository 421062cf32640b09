"""Room that is held, given up in need, and held again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from filepipe.records.reserve import SIZE, Reserve


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """The file of a reserve beside `tmp_path / "db"`."""
    return tmp_path / "db-room"


def test_it_is_taken_and_given(tmp_path: Path, room: Path) -> None:
    """Its blocks are there while it is held, and it can be given once each time."""
    reserve = Reserve(tmp_path / "db")
    assert not reserve.give()
    for _ in range(2):
        reserve.take()
        reserve.take()
        assert (room.stat().st_size, room.stat().st_mode & 0o777) == (SIZE, 0o600)
        assert room.stat().st_blocks * 512 >= SIZE
        assert reserve.give()
        assert not room.exists()
        assert not reserve.give()


@pytest.mark.parametrize("left", [0, 1000, SIZE])
def test_what_an_earlier_daemon_left_is_used(tmp_path: Path, room: Path, left: int) -> None:
    """Whole or not."""
    room.write_bytes(b"x" * left)
    reserve = Reserve(tmp_path / "db")
    reserve.take()
    assert room.stat().st_size == SIZE
    assert reserve.give()


@pytest.mark.parametrize("spare", [0, SIZE, 2 * SIZE - 4096])
def test_a_disk_without_room_to_spare_is_left_alone(
    tmp_path: Path, room: Path, spare: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is held then, until there is more room."""
    disk = list(os.statvfs(tmp_path))
    disk[0] = disk[1] = 4096
    disk[4] = spare // 4096
    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", lambda _: os.statvfs_result(disk))
        reserve = Reserve(tmp_path / "db")
        reserve.take()
        assert not room.exists()
        assert not reserve.give()
    reserve.take()
    assert room.exists()


def test_a_file_that_cannot_be_made_is_no_trouble(tmp_path: Path) -> None:
    """The records work without."""
    reserve = Reserve(tmp_path / "nowhere" / "db")
    reserve.take()
    assert not reserve.give()
