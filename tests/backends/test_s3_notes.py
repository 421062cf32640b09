"""What is noted of drafts survives, whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from filepipe_backends.s3_notes import Note, Notes


def test_a_note_is_there_again(tmp_path: Path) -> None:
    """Whatever it says; nobody else may read it."""
    notes = Notes(tmp_path / "own" / "notes")
    note = Note("k/ü", 7, "name", "upload", "mark", 3, [5, 2], "target", ("key", "id"), "path")
    notes.write("a", note)
    notes.write("b", Note("key", None))
    again = Notes(tmp_path / "own" / "notes")
    assert again.handles() == ["a", "b"]
    assert again.all() == {"a": note, "b": Note("key", None)}
    assert again.read("c") is None
    assert stat.S_IMODE((tmp_path / "own" / "notes").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "own" / "notes" / "a.json").stat().st_mode) == 0o600


def test_a_draft_is_forgotten(tmp_path: Path) -> None:
    """With its files and without those of another; what is not whole is no note."""
    notes = Notes(tmp_path)
    for handle in ("a", "ab"):
        notes.write(handle, Note("key", None))
        notes.segment(handle, 3).touch()
    (tmp_path / "c.new").write_text("{")
    assert (notes.handles(), notes.segments("a")) == (["a", "ab"], [3])
    notes.drop("a")
    notes.drop("a")
    assert (notes.handles(), notes.segments("ab")) == (["ab"], [3])
    assert sorted(os.listdir(tmp_path)) == ["ab.3", "ab.json", "c.new"]
