"""The shelves of uploads by the names of their backends; one of them is the default."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import PurePosixPath

from filepipe.errors import FilepipeError, Unavailable
from filepipe.logs import get_logger
from filepipe.storage.interface import Naming, Shelf

log = get_logger("filepipe.uploads")


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

    async def tidy(self, kept: Collection[str]) -> None:
        """Remove the drafts whose handles are not in `kept`, as far as that can be done now."""
        for name, shelf in self._by_name.items():
            try:
                for handle in await shelf.drafts():
                    if handle not in kept:
                        await shelf.drop(handle)
            except FilepipeError as error:  # the next start tries it again
                log.warning("what a crash left stays", storage=name, reason=str(error))
