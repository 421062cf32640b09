"""Digests (RFC 9530): Want-Repr-Digest, Repr-Digest and Content-Digest."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Final, Protocol, cast

import http_sf

from filepipe.errors import BadRequest

# Of two that are wanted alike, the first: processors help with it.
_HASHES: Final = {"sha-256": "sha256", "sha-512": "sha512"}
_MAX_PREFERENCE: Final = 10


class Hash(Protocol):
    """The part of a hashlib object that a digest needs."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Go on with these bytes."""

    def digest(self) -> bytes:
        """Return the hash of all bytes so far."""


def wanted(header: str | None) -> str | None:
    """Return the algorithm that a Want-Repr-Digest prefers of ours; None if it wants none."""
    if header is None:
        return None
    preferences = _preferences(header)
    best = max(_HASHES, key=lambda algorithm: preferences.get(algorithm, 0))
    return best if preferences.get(best, 0) else None


def _preferences(header: str) -> dict[str, int]:
    preferences: dict[str, int] = {}
    for algorithm, value in _dictionary("Want-Repr-Digest", header).items():
        # Booleans are integers to Python, and none of the preferences (RFC 9530, section 4).
        if type(value) is not int or not 0 <= value <= _MAX_PREFERENCE:
            raise BadRequest("Want-Repr-Digest has a preference that is not 0 to 10")
        preferences[algorithm] = value
    return preferences


def stated(name: str, header: str | None) -> dict[str, bytes]:
    """Return the digests by algorithms of ours that the field `name` states.

    Raises `BadRequest` for a field that cannot be read: whoever states one wants it to be checked.
    """
    if header is None:
        return {}
    digests: dict[str, bytes] = {}
    for algorithm, value in _dictionary(name, header).items():
        if not isinstance(value, bytes):
            raise BadRequest(f"{name} has a value that is no byte sequence")
        if algorithm in _HASHES:
            digests[algorithm] = value
    return digests


def _dictionary(name: str, header: str) -> dict[str, object]:
    try:
        parsed = http_sf.parse(header.encode("ascii"), tltype="dictionary")
    except (UnicodeEncodeError, http_sf.StructuredFieldError):
        raise BadRequest(f"{name} is malformed") from None
    fields = cast("dict[str, tuple[object, object]]", parsed)
    return {key: value for key, (value, _parameters) in fields.items()}


def new_hash(algorithm: str) -> Hash:
    """Begin to hash with an algorithm that `wanted` returned."""
    return hashlib.new(_HASHES[algorithm], usedforsecurity=False)


class Hashes:
    """Several hashes of the same bytes, by algorithms that `stated` returned."""

    def __init__(self, algorithms: Iterable[str]) -> None:
        self._hashes = {algorithm: new_hash(algorithm) for algorithm in algorithms}

    def update(self, data: bytes, /) -> None:
        """Go on with these bytes."""
        for hashing in self._hashes.values():
            hashing.update(data)

    def digests(self) -> dict[str, bytes]:
        """Return the hash of all bytes so far, by each algorithm."""
        return {algorithm: hashing.digest() for algorithm, hashing in self._hashes.items()}


def repr_digest(algorithm: str, raw: bytes) -> str:
    """Write the Repr-Digest of an object whose hash is `raw`."""
    return f"{algorithm}=:{base64.b64encode(raw).decode()}:"
