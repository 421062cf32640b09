"""From `scheme:location` to a storage, through the entry points `filepipe.storage`.

Our own backends come in by the same door as anybody else's.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from filepipe.errors import ConfigError
from filepipe.storage.interface import Factory, Storage

GROUP = "filepipe.storage"
"""The entry-point group in which a distribution names its storages."""


def open_storage(url: str) -> Storage:
    """Build the storage that `url` (`scheme:location`) names.

    Reads the disk, so call it before serving. Raises `ConfigError`.
    """
    scheme, _, location = url.partition(":")
    known = {entry.name: entry for entry in entry_points(group=GROUP)}
    if scheme not in known:
        names = ", ".join(f"{name}:" for name in sorted(known))
        raise ConfigError(f"storage {url!r} is of no known kind; known are {names or 'none'}")
    try:
        factory: Factory = known[scheme].load()
    except ImportError as error:
        raise ConfigError(
            f"storage {scheme}: cannot be loaded ({error}); "
            f"install it with pip install 'filepipe[{scheme}]'"
        ) from error
    return factory(location)
