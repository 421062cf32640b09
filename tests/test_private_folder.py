"""The daemon's own folder: private, locked, and never somebody else's."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from filepipe.errors import ConfigError
from filepipe.private_folder import PrivateFolder


def mode(path: Path) -> int:
    """The permissions of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_with_its_parents(tmp_path: Path) -> None:
    """A data folder that does not exist is made; what is in it is closed to others."""
    before = os.umask(0)
    try:
        folder = PrivateFolder(tmp_path / "new" / "data")
    finally:
        os.umask(before)
    assert folder.path == tmp_path / "new" / "data" / "filepipe"
    assert mode(folder.path) == 0o700
    assert mode(folder.path / "lock") == 0o600
    folder.close()


def test_an_open_folder_is_closed_to_others(tmp_path: Path) -> None:
    """Our own folder with permissions for everybody loses them; the data folder keeps its own."""
    (tmp_path / "filepipe").mkdir()
    (tmp_path / "filepipe").chmod(0o777)
    tmp_path.chmod(0o755)
    PrivateFolder(tmp_path).close()
    assert mode(tmp_path / "filepipe") == 0o700
    assert mode(tmp_path) == 0o755


def test_what_is_made_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of each folder that is made is synced, once."""
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda number: synced.append(os.readlink(f"/proc/self/fd/{number}"))
    )
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("only Linux says what a descriptor is")
    PrivateFolder(tmp_path / "new" / "data").close()
    assert synced == [str(tmp_path / "new/data"), str(tmp_path / "new"), str(tmp_path)]
    PrivateFolder(tmp_path / "new" / "data").close()
    assert len(synced) == 3


def test_nothing_else_is_touched(tmp_path: Path) -> None:
    """Whatever else lies in the data folder, and in ours, stays as it is."""
    (tmp_path / "pipe-notes.txt").write_text("mine")
    (tmp_path / "filepipe").mkdir(0o700)
    (tmp_path / "filepipe" / "secrets").write_text("kept")
    PrivateFolder(tmp_path).close()
    assert (tmp_path / "pipe-notes.txt").read_text() == "mine"
    assert (tmp_path / "filepipe" / "secrets").read_text() == "kept"


def test_one_at_a_time(tmp_path: Path) -> None:
    """A second user is refused until the first has let go."""
    first = PrivateFolder(tmp_path)
    with pytest.raises(ConfigError, match=r"^data_dir: another filepipe uses .*/filepipe$"):
        PrivateFolder(tmp_path)
    first.close()
    PrivateFolder(tmp_path).close()


def test_a_child_does_not_inherit_the_lock(tmp_path: Path) -> None:
    """What we start must not hold the folder after us."""
    folder = PrivateFolder(tmp_path)
    held = [
        int(number)
        for number in os.listdir("/dev/fd")
        if os.path.realpath(f"/dev/fd/{number}") == str(folder.path / "lock")
    ]
    assert len(held) == 1
    assert not os.get_inheritable(held[0])
    folder.close()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A link in the place of the folder is refused, and what it points to is left alone."""
    (tmp_path / "elsewhere").mkdir(0o755)
    (tmp_path / "filepipe").symlink_to("elsewhere")
    with pytest.raises(ConfigError, match="belongs to somebody else"):
        PrivateFolder(tmp_path)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    """Nobody makes us open, or make, a file elsewhere."""
    (tmp_path / "filepipe").mkdir(0o700)
    (tmp_path / "filepipe" / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"^data_dir: "):
        PrivateFolder(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_in_its_place(tmp_path: Path) -> None:
    """A file where the folder should be is one clear sentence."""
    (tmp_path / "filepipe").write_text("")
    with pytest.raises(ConfigError, match=r"^data_dir: .*/filepipe: File exists$"):
        PrivateFolder(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_account(tmp_path: Path) -> None:
    """Who owns the folder can read what is in it, so it must be us."""
    (tmp_path / "filepipe").mkdir(0o700)
    os.chown(tmp_path / "filepipe", 65532, 65532)
    with pytest.raises(ConfigError, match="belongs to somebody else"):
        PrivateFolder(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Where nothing can be locked that is said, and nobody is accused."""

    def refuse(lock: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(ConfigError, match=f"cannot be locked: {os.strerror(number)}"):
        PrivateFolder(tmp_path)
