"""The secrets of uploads: those of the settings, and files of our own for what these lack.

Rule 1: a secret is written before it is used, and all of it is on the disk or none.
Rule 2: nothing here prints one; `places` says where each of them is.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from filepipe.errors import ConfigError

FOLDER: Final = "secrets"
LENGTH: Final = 32
"""Bytes that are made up, and that a secret has at least."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What guards uploads; made by `find_or_make`."""

    api_key: bytes = field(repr=False)
    """Who shows it may make and manage uploads."""
    jwt_secret: bytes = field(repr=False)
    """Signs the tokens of parts."""
    webhook_secret: bytes = field(repr=False)
    """Signs what webhooks are sent."""
    places: Mapping[str, Path]
    """The files of those that the settings do not give, by name."""


def find_or_make(
    private: Path, api_key: str | None, jwt_secret: str | None, webhook_secret: str | None
) -> Credentials:
    """Take what is given; find the rest in `private`, the daemon's own folder, or make it there.

    Raises `ConfigError`. Blocks briefly; used before serving.
    """
    folder = private / FOLDER
    given = {"api_key": api_key, "jwt_secret": jwt_secret, "webhook_secret": webhook_secret}
    places = {name: folder / name for name, text in given.items() if text is None}
    try:
        found = {name: _find(path) or _make(path) for name, path in places.items()}
    except OSError as error:
        raise ConfigError(f"data_dir: {error.filename or folder}: {error.strerror}") from error
    found |= {
        name: text.encode(errors="surrogateescape")
        for name, text in given.items()
        if text is not None
    }
    return Credentials(**found, places=places)


def _find(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise ConfigError(f"data_dir: {path} is not a file")
        if facts.st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
        found = file.read(4096).strip()
    if len(found) < LENGTH:
        raise ConfigError(
            f"data_dir: {path} holds less than {LENGTH} bytes; without it a new one is made"
        )
    return found


def _make(path: Path) -> bytes:
    made = secrets.token_hex(LENGTH).encode()
    path.parent.mkdir(mode=0o700, exist_ok=True)
    _sync(path.parent.parent)
    # What a crash left of one that was never used is written over.
    unfinished = path.with_name(f"{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as file:
        file.write(made + b"\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    _sync(path.parent)
    return made


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
