"""What the settings say of those who upload: credentials, and how and where uploads are kept."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from filepipe import chunks
from filepipe.errors import Forbidden
from filepipe.protocols.forwarding import ForwardRules
from filepipe.storage.interface import Traits


@dataclass(frozen=True, slots=True)
class UploadAccess:
    """Credentials, and how uploads are cut; sizes in bytes."""

    api_key: bytes
    jwt_secret: bytes
    largest_part: int
    balanced: bool
    unique: bool
    storage: str
    storages: Collection[str]
    webhooks: ForwardRules

    def storage_of(self, named: str | None) -> str:
        """The backend that a request gets, which may have named one. Raises `Forbidden`."""
        if named is not None and named not in self.storages:
            raise Forbidden("this storage is not allowed here")
        return named or self.storage

    def plan(self, size: int, traits: Traits) -> chunks.Plan:
        """Into which parts a shelf with these traits takes so many bytes. Raises `TooLarge`."""
        largest = min(self.largest_part, traits.largest_part)
        return chunks.plan(size, largest, balanced=self.balanced, smallest=traits.smallest_part)
