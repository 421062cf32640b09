"""One part on its way to a signed URL, and what the server's answers mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from aiohttp import ClientError, ClientSession

from filepipe.errors import DiskFull, FilepipeError, NotFound, StorageFailed, Unavailable

STALL = 60.0
"""Seconds for which the server may take no byte, or give none."""

CHANGED = "the storage failed: the object has been replaced while it was read"
AWAY = "the storage cannot be reached, try again later"

LOST = (ClientError, TimeoutError, OSError)
"""What a connection that broke raises."""

_NOT_SIGNED = ("Content-Type",)
_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"})
_AGAIN = frozenset(
    {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "OperationAborted"}
)
_DENIED = "the storage failed: it refuses our account"
_SENTENCES = {
    "AccessDenied": _DENIED,
    "InvalidAccessKeyId": _DENIED,
    "SignatureDoesNotMatch": _DENIED,
    "NoSuchBucket": "the storage failed: the bucket does not exist",
    "PreconditionFailed": CHANGED,
}


class Sending:
    """One part on its way: its own failure is told from that of whoever sends it to us."""

    def __init__(self, http: ClientSession, url: str, size: int) -> None:
        self._http = http
        self._url = url
        self._size = size
        self._sent = 0
        self._failure: BaseException | None = None
        self._patience = asyncio.timeout(STALL)

    async def send(self, body: AsyncIterator[bytes]) -> str:
        """Send it and wait for the answer, which is the ETag.

        Raises what `body` raises, `Unavailable`, `DiskFull` or `StorageFailed`.
        """
        headers = {"Content-Length": str(self._size)}
        data = self._watched(body) if self._size else b""
        try:
            async with (
                self._patience,
                self._http.put(
                    self._url, data=data, headers=headers, skip_auto_headers=("Content-Type",)
                ) as answer,
            ):
                text = await answer.text()
                if self._failure is None:
                    etag = _judged(answer.status, text, answer.headers)
        except LOST as error:
            if self._failure is None:
                raise Unavailable(AWAY) from error
        if self._failure is not None:
            raise self._failure
        if self._sent != self._size:
            raise Unavailable(AWAY)
        return etag

    async def _watched(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The body, a piece late: the last one goes when it is known that all is well with it."""
        now = asyncio.get_running_loop().time
        held = b""
        self._patience.reschedule(None)  # it is the sender that we wait for
        try:
            async for piece in body:
                if held:
                    self._sent += len(held)
                    self._patience.reschedule(now() + STALL)
                    yield held
                    self._patience.reschedule(None)
                held = piece
        except Exception as error:
            self._failure = error
            raise
        self._sent += len(held)
        self._patience.reschedule(now() + STALL)
        yield held


def _judged(status: int, text: str, headers: Mapping[str, str]) -> str:
    """The ETag; raises unless the server says, and in the right words, that it has the part."""
    etag = headers.get("ETag", "")
    if status == 200 and etag and " " not in etag and "<Error>" not in text:
        return etag
    code = text.partition("<Code>")[2].partition("</Code>")[0]
    raise failure(code, status) from RuntimeError(f"{status} {text[:500]}")


def failure(code: str, status: int) -> FilepipeError:
    """What an error of the server is to us."""
    if code in _FULL or status == 507:
        return DiskFull("the storage is full, try again later")
    if code in ("NoSuchKey", "404"):
        return NotFound("the object is gone")
    if sentence := _SENTENCES.get(code):
        return StorageFailed(sentence)
    if status in (401, 403):
        return StorageFailed(_DENIED)
    if code in _AGAIN or status >= 500 or status == 200:
        return Unavailable("the storage is in trouble, try again later")
    return StorageFailed("the storage failed: it did not do what it was asked")
