"""The shelves of uploads by the names of their backends; one of them is the default."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from filepipe.errors import FilepipeError, Unavailable
from filepipe.logs import get_logger
from filepipe.storage.interface import Naming, Shelf

log = get_logger("filepipe.uploads")


class Orphan(NamedTuple):
    """A draft that no record names, and the name of its storage."""

    storage: str
    handle: str


class Shelves:
    """The shelves that are open; `default` is the name of one."""

    def __init__(self, by_name: Mapping[str, Shelf], default: str) -> None:
        self.default = default
        self._by_name = by_name

    def of(self, name: str) -> Shelf:
        """The shelf of this name. Raises `Unavailable` where it is not open."""
        shelf = self._by_name.get(name)
        if shelf is None:
            raise Unavailable(f"the storage {name} is not set up here")
        return shelf

    def judge(self, storage: str, name: PurePosixPath) -> None:
        """Raises `BadRequest` where the storage can keep nothing of this name, `Unavailable`."""
        shelf = self.of(storage)
        if isinstance(shelf, Naming):
            shelf.judge(name)

    def on_local_disk(self, name: str) -> bool:
        """Whether what is kept there takes room on the local disk."""
        shelf = self._by_name.get(name)
        return shelf is not None and shelf.traits.local_disk

    async def orphans(self, kept: Collection[str]) -> list[Orphan]:
        """The drafts whose handles are not in `kept`, as far as that can be known now."""
        found = []
        for name, shelf in self._by_name.items():
            try:
                handles = await shelf.drafts()
            except FilepipeError as error:
                _warn(name, error)
            else:
                found += [Orphan(name, handle) for handle in handles if handle not in kept]
        return found

    async def drop(self, orphans: Iterable[Orphan]) -> None:
        """Remove them, as far as that can be done now."""
        for orphan in orphans:
            try:
                await self.of(orphan.storage).drop(orphan.handle)
            except FilepipeError as error:
                _warn(orphan.storage, error)


def _warn(storage: str, error: FilepipeError) -> None:
    """The next start tries it again."""
    log.warning("what a crash left stays", storage=storage, reason=str(error))
