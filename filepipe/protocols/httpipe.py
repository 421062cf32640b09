"""The protocol httpipe without its sockets: what a path names, what a body is called, the lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from filepipe.keys import Key

ROOT: Final = "channels"
NAMESPACES: Final = "namespaces"
"""The name whose list is that of the namespaces; a namespace of this name has none of its own."""

CHANNEL_METHODS: Final = ("DELETE", "GET", "HEAD", "POST")
LIST_METHODS: Final = ("DELETE", "GET", "HEAD")
STATE_METHODS: Final = ("GET", "HEAD")

_FORM: Final = "application/x-www-form-urlencoded"
_BYTES: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Place:
    """A channel, or without a `name` the namespace of some."""

    namespace: str
    name: str | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """What can be asked of it."""
        return LIST_METHODS if self.name is None else CHANNEL_METHODS


def place_of(key: Key) -> Place | None:
    """What the key of a whole path names; None if nothing of this protocol."""
    match key.split("/"):
        case [root, namespace] if root == ROOT and namespace:
            return Place(namespace)
        case [root, namespace, name] if root == ROOT and name:
            return Place(namespace, name)
    return None


def is_in(key: Key, namespace: str) -> bool:
    """Whether the key is that of a channel in the namespace."""
    return key.startswith(f"{ROOT}/{namespace}/")


def by_namespace(keys: Iterable[Key]) -> dict[str, list[str]]:
    """The names of these channels, in order, under those of their namespaces."""
    found: dict[str, list[str]] = {}
    for key in sorted(keys):
        place = place_of(key)
        assert place is not None, key
        assert place.name is not None, key
        found.setdefault(place.namespace, []).append(place.name)
    return found


def delivered_type(content_type: str | None) -> str:
    """What a consumer is told; the type that curl makes up for --data tells nothing."""
    return _BYTES if content_type in (None, _FORM) else content_type
