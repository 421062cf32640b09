"""The three ways that a large body may take through the daemon."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Way:
    """How the bytes of an upload travel: the flag for the daemon, and what the sender says."""

    flag: str
    chunked: bool

    def length(self, size: int) -> int | None:
        """What an `Upload` of so many bytes says of its length."""
        return None if self.chunked else size


WAYS = {
    "kernel": Way("--relay", chunked=False),
    "loop": Way("--no-relay", chunked=False),
    "chunks": Way("--relay", chunked=True),
}
