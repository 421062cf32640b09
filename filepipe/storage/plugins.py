"""From `scheme:location` to a storage or a shelf, through their entry points.

Our own backends come in by the same door as anybody else's.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from filepipe.errors import ConfigError
from filepipe.storage.interface import Factory, Shelf, ShelfFactory, Storage

GROUP = "filepipe.storage"
"""The entry-point group in which a distribution names its storages."""

SHELVES = "filepipe.uploads"
"""The entry-point group in which a distribution names its shelves."""


def open_storage(url: str) -> Storage:
    """Build the storage that `url` (`scheme:location`) names.

    Reads the disk, so call it before serving. Raises `ConfigError`.
    """
    scheme, _, location = url.partition(":")
    factory: Factory = _load(GROUP, scheme, f"storage {url!r}")
    return factory(location)


def open_shelf(url: str, folder: Path) -> Shelf:
    """Build the shelf that `url` (`scheme:location`) names; `folder` is its place of its own.

    Reads the disk, so call it before serving. Raises `ConfigError`.
    """
    scheme, _, location = url.partition(":")
    factory: ShelfFactory = _load(SHELVES, scheme, f"storage of uploads {scheme!r}")
    return factory(location, folder)


def _load(group: str, scheme: str, what: str) -> Any:
    known = {entry.name: entry for entry in entry_points(group=group)}
    if scheme not in known:
        names = ", ".join(f"{name}:" for name in sorted(known))
        raise ConfigError(f"{what} is of no known kind; known are {names or 'none'}")
    try:
        return known[scheme].load()
    except ImportError as error:
        raise ConfigError(
            f"storage {scheme}: cannot be loaded ({error}); "
            f"install it with pip install 'filepipe[{scheme}]'"
        ) from error
