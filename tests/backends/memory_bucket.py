"""A bucket in memory that keeps S3's rules, and fails at the request that a test names."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

from filepipe.errors import StorageFailed, Unavailable
from filepipe_backends.s3_bucket import Stored, Taken
from filepipe_backends.s3_notes import Part

SMALLEST = 5 * 1024 * 1024


class Crash(BaseException):
    """The process ends here."""


@dataclass
class Upload:
    """An upload in parts; a number has the contents of all its parts, by their ETags."""

    key: str
    owner: str
    parts: dict[int, dict[str, bytes]] = field(default_factory=dict)


@dataclass
class Server:
    """What outlives a crash. Steps are counted; step `at` fails as `how` says."""

    objects: dict[str, tuple[bytes, str, str]] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    at: int = 0
    how: str = ""
    steps: int = 0
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def before(self) -> bool:
        """One step begins; whether it is the one that fails."""
        self.steps += 1
        hit = self.steps == self.at
        if hit and self.how == "crash before":
            raise Crash
        if hit and self.how == "refused":
            raise Unavailable("the storage is in trouble")
        return hit

    def after(self, hit: bool) -> None:
        """It has had its effect."""
        if hit and self.how == "crash after":
            raise Crash
        if hit and self.how == "lost":
            raise Unavailable("the storage cannot be reached")

    def put(self, key: str, body: bytes, owner: str) -> None:
        """Make an object."""
        self.objects[key] = (body, owner, f'"{next(self.numbers)}"')


class Body:
    """The bytes of an object from somewhere on."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self, limit: int) -> bytes:
        """The next ones."""
        found, self._body = self._body[:limit], self._body[limit:]
        return found

    def close(self) -> None:
        """There is nothing to close."""


class MemoryBucket:
    """The requests, as `filepipe_backends.s3_bucket.Bucket` has them."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def look(self, key: str) -> Stored | None:
        """What there is under the key."""
        self._server.after(self._server.before())
        found = self._server.objects.get(key)
        return None if found is None else Stored(len(found[0]), found[2], found[1])

    async def get(self, key: str, start: int, etag: str) -> Body:
        """The bytes of the object that has this ETag."""
        body, _, found = self._server.objects[key]
        assert found == etag
        return Body(body[start:])

    async def put_empty(self, key: str, owner: str, *, free: bool) -> None:
        """Make an object of no bytes."""
        hit = self._server.before()
        self._claim(key, free)
        self._server.put(key, b"", owner)
        self._server.after(hit)

    async def remove(self, key: str) -> None:
        """Remove an object."""
        hit = self._server.before()
        self._server.objects.pop(key, None)
        self._server.after(hit)

    async def copy(self, source: str, key: str, owner: str, *, free: bool) -> None:
        """Copy an object."""
        hit = self._server.before()
        self._claim(key, free)
        self._server.put(key, self._server.objects[source][0], owner)
        self._server.after(hit)

    async def begin(self, key: str, owner: str) -> str:
        """Begin an upload in parts."""
        hit = self._server.before()
        upload = f"upload-{next(self._server.numbers)}"
        self._server.uploads[upload] = Upload(key, owner)
        self._server.after(hit)
        return upload

    async def begun(self, key: str) -> list[str]:
        """Those that have not ended."""
        self._server.after(self._server.before())
        return [name for name, upload in self._server.uploads.items() if upload.key == key]

    async def abort(self, key: str, upload: str) -> None:
        """End one without an object."""
        hit = self._server.before()
        self._server.uploads.pop(upload, None)
        self._server.after(hit)

    async def put_part(
        self, key: str, upload: str, number: int, size: int, body: AsyncIterator[bytes]
    ) -> Part:
        """Store a part."""
        hit = self._server.before()
        data = b"".join([piece async for piece in body])
        assert len(data) == size
        etag = self._keep(upload, number, data)
        self._server.after(hit)
        return Part(number, size, etag)

    async def copy_part(
        self, source: str, span: tuple[int, int], key: str, upload: str, number: int
    ) -> Part:
        """Make a part of an object's bytes."""
        hit = self._server.before()
        data = self._server.objects[source][0][slice(*span)]
        etag = self._keep(upload, number, data)
        self._server.after(hit)
        return Part(number, len(data), etag)

    def _keep(self, upload: str, number: int, data: bytes) -> str:
        if upload not in self._server.uploads:
            raise StorageFailed("there is no such upload")
        etag = f'"{next(self._server.numbers)}"'
        self._server.uploads[upload].parts.setdefault(number, {})[etag] = data
        return etag

    async def complete(self, key: str, upload: str, parts: Iterable[Part], *, free: bool) -> None:
        """Make the object."""
        hit = self._server.before()
        self._claim(key, free)
        if upload not in self._server.uploads:
            raise StorageFailed("there is no such upload")
        known = self._server.uploads[upload]
        assert known.key == key
        bodies = [known.parts[part.number][part.etag] for part in parts]
        assert all(len(body) >= SMALLEST for body in bodies[:-1])
        del self._server.uploads[upload]
        self._server.put(key, b"".join(bodies), known.owner)
        self._server.after(hit)

    def _claim(self, key: str, free: bool) -> None:
        if free and key in self._server.objects:
            raise Taken

    async def aclose(self) -> None:
        """There is nothing to close."""
