"""Defaults that depend on where the daemon runs: its folders, and the room on their disk."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationInfo

from filepipe.config import values

# Of the free space; the rest is left to whoever else writes to the same disk.
_DISK_SHARE = 0.9


def state_directory() -> Path | str:
    """The folder of the service manager, else that of the user."""
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return given
    home = os.environ.get("XDG_STATE_HOME", "")
    # A relative path there is to be ignored (XDG base directory specification).
    return Path(home if home.startswith("/") else "~/.local/state") / "filepipe"


def max_disk(value: object, info: ValidationInfo) -> int | None:
    """Read a number of bytes; `auto` is a share of what is free, and None is `unlimited`."""
    if value != "auto":
        return values.limit(value)
    folder: Path = info.data.get("data_dir") or Path("/")
    try:
        # our own folder first: a sandbox may show another disk at its parents
        parts = (folder / "filepipe", folder, *folder.parents)
        existing = next(part for part in parts if part.exists())
        room = os.statvfs(existing)
    except OSError as error:
        raise ValueError(f"auto cannot look at {folder}: {error.strerror}") from None
    return int(room.f_bavail * room.f_frsize * _DISK_SHARE)


def database_path(value: object, info: ValidationInfo) -> Path:
    """Read a path; "" is a file in the daemon's own folder."""
    if value is None or value == "":
        return (info.data.get("data_dir") or Path("/")) / "filepipe" / "uploads.db"
    return values.path(value)
