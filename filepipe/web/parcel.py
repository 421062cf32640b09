"""What a sender brings, and how it is found out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from filepipe.channels.channel import Metadata
from filepipe.web.pumps import Pumps


@dataclass(slots=True)
class Parcel:
    """What a sender brings; `first` are bytes that were read and that nobody has got yet.

    `whole` says that the body is the request's own, of which `chunks` are what comes.
    """

    meta: Metadata
    chunks: AsyncIterator[bytes]
    whole: bool
    first: bytes | None = None


Bring = Callable[[web.BaseRequest, Pumps], Awaitable[Parcel]]
"""Finds out what a sender brings; may read the head of a part."""
