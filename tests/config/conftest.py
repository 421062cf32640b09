"""Settings are read from an environment and a working directory that hold nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from filepipe.config import describe


@pytest.fixture(autouse=True)
def empty_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and working directory, and none of our variables."""
    bare = {variable for item in describe() for variable in item.variables}
    bare |= {"STATE_DIRECTORY", "XDG_STATE_HOME"}
    for name in [name for name in os.environ if name in bare or name.startswith("FILEPIPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work
