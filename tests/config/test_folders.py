"""Where the daemon writes by default, and how much."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from filepipe.config import Settings


def test_the_database_is_in_our_own_folder() -> None:
    """Unless it is named."""
    assert Path("/d/filepipe/uploads.db") == Settings(data_dir="/d").database_path
    assert Path("/x/y.db") == Settings(data_dir="/d", database_path="/x/y.db").database_path


def test_the_state_directory_of_the_service_manager_goes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """systemd may name several, divided by colons; the first is ours."""
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert Path("/xdg/filepipe") == Settings().data_dir
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/filepipe:/var/lib/other")
    assert Path("/var/lib/filepipe") == Settings().data_dir


def test_without_a_state_directory_the_home_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative XDG_STATE_HOME is to be ignored."""
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert tmp_path / "home/.local/state/filepipe" == Settings().data_dir


def test_max_disk_follows_the_disk_of_the_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder need not exist yet; 90 % of what is free there is the limit."""
    asked: list[str] = []

    def statvfs(path: os.PathLike[str]) -> os.statvfs_result:
        asked.append(os.fspath(path))
        return os.statvfs_result((4096, 1000, 0, 0, 100, 0, 0, 0, 0, 255))

    monkeypatch.setattr(os, "statvfs", statvfs)
    assert Settings(data_dir="/proc/self/absent/deeper").max_disk == 90_000
    assert asked == ["/proc/self"]
    assert Settings(max_disk="unlimited").max_disk is None


def test_a_disk_that_cannot_be_looked_at_is_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the size of the disk there is no automatic limit."""

    def statvfs(path: object) -> os.statvfs_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "statvfs", statvfs)
    with pytest.raises(ValidationError, match="auto cannot look at /x: Permission denied"):
        Settings(data_dir="/x")
