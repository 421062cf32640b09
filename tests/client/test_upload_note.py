"""The notes of uploads: what the next run finds, and what nobody else does."""

import os
import time
from pathlib import Path

import pytest

from filepipe.client import upload_note
from filepipe.client.part_file import Facts
from filepipe.client.upload_note import Note, NoteFile, state_folder

NOTE = Note("an id", Facts(10, 20), 4, {0: "aa", 2: "cc"})


def _file(folder: Path, server: str = "http://h/", target: str = "t") -> NoteFile:
    return NoteFile(folder, server, folder / "f", target)


def _left(folder: Path, note: Note = NOTE) -> None:
    file = _file(folder)
    file.open()
    file.save(note, now=True)
    file.close()


def test_the_next_run_finds_it(tmp_path: Path) -> None:
    """As it was; only the owner can read it, and no lock is left."""
    _left(tmp_path / "new")
    file = _file(tmp_path / "new")
    assert file.open() == NOTE
    file.close()
    (path,) = (tmp_path / "new").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("other", [{"server": "http://i/"}, {"target": "u"}])
def test_another_place_has_another_note(tmp_path: Path, other: dict[str, str]) -> None:
    """Server and target belong to it."""
    _left(tmp_path)
    file = _file(tmp_path, **other)
    assert file.open() is None
    file.close()


def test_a_forgotten_one_is_gone(tmp_path: Path) -> None:
    """Nothing is left at all."""
    _left(tmp_path)
    file = _file(tmp_path)
    file.open()
    file.forget()
    file.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"parts": 1}', '{"parts": {"x": 1}}'])
def test_what_is_no_note(tmp_path: Path, text: str) -> None:
    """Is as if it were not there."""
    _left(tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text(text)
    file = _file(tmp_path)
    assert file.open() is None
    file.close()


def test_a_strangers_link_is_not_followed(tmp_path: Path) -> None:
    """It is an error that names it, and the lock is not left behind."""
    _left(tmp_path)
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.symlink_to("/etc/hosts")
    with pytest.raises(OSError, match="symbolic links"):
        _file(tmp_path).open()
    assert list(tmp_path.iterdir()) == [path]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """The second one is refused until the first has ended."""
    first = _file(tmp_path)
    first.open()
    with pytest.raises(OSError, match="another upload of this file"):
        _file(tmp_path).open()
    first.close()
    again = _file(tmp_path)
    again.open()
    again.close()


def test_not_too_often(tmp_path: Path) -> None:
    """Saving again at once costs nothing, unless it must be."""
    file = _file(tmp_path)
    file.open()
    file.save(NOTE)
    (path,) = tmp_path.glob("*.json")
    before = path.stat().st_ino
    file.save(NOTE)
    assert path.stat().st_ino == before
    file.save(Note("other", NOTE.facts, 4), now=True)
    file.close()
    file = _file(tmp_path)
    assert file.open() == Note("other", NOTE.facts, 4)
    file.close()


def test_old_ones_go(tmp_path: Path) -> None:
    """What no server can know any more is removed."""
    _left(tmp_path)
    (path,) = tmp_path.iterdir()
    old = time.time() - upload_note.FORGET_SECONDS - 60
    os.utime(path, (old, old))
    other = _file(tmp_path, target="u")
    other.open()
    other.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [("/s", "/s/filepipe/client"), ("", "/h/.local/state/filepipe/client"),
     ("relative", "/h/.local/state/filepipe/client")],
)  # fmt: skip
def test_where_they_are(monkeypatch: pytest.MonkeyPatch, given: str, expected: str) -> None:
    """Below the user's folder for such things."""
    monkeypatch.setenv("XDG_STATE_HOME", given)
    monkeypatch.setenv("HOME", "/h")
    assert state_folder() == Path(expected)
