"""The one part of a multipart form that is meant: the first file, else the first field.

A text field before the file is read and dropped; it may be as large as `MAX_FIELD`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from aiohttp import BodyPartReader, web

from filepipe.errors import BadRequest
from filepipe.protocols.disposition import clean_filename, parse_filename
from filepipe.protocols.media import clean_content_type

MAX_PARTS = 16
MAX_FIELD = 64 * 1024
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """What to store; `body` must be read to its end, or left alone altogether."""

    filename: str | None
    content_type: str | None
    body: AsyncIterator[bytes]


def filename_of(headers: Mapping[str, str]) -> str | None:
    """The name in a Content-Disposition, made safe to save under; None if there is none."""
    name = parse_filename(headers.get("Content-Disposition"))
    return None if name is None else clean_filename(name)


async def choose_part(request: web.BaseRequest) -> Part:
    """The part to store. Raises `BadRequest`; no byte of a file has been read when it returns."""
    try:
        return await _choose(request)
    except (ValueError, RuntimeError, AssertionError, web.RequestPayloadError) as error:
        raise _malformed(error) from error


async def _choose(request: web.BaseRequest) -> Part:
    reader = await request.multipart()
    first: Part | None = None
    for _ in range(MAX_PARTS):
        part = await reader.next()
        if part is None:
            break
        if not isinstance(part, BodyPartReader):
            raise BadRequest("multipart parse error: a part is itself multipart")
        filename = filename_of(part.headers)
        if filename is not None:
            return _part(part, filename, b"")
        field = await _read_field(part)
        if len(field) > MAX_FIELD:
            return first or _part(part, None, field)
        first = first or Part(None, _content_type(part), _whole(field))
    else:
        raise BadRequest(f"multipart parse error: more than {MAX_PARTS} parts")
    if first is None:
        raise BadRequest("multipart body contains no fields")
    return first


async def _read_field(part: BodyPartReader) -> bytes:
    field = bytearray()
    while len(field) <= MAX_FIELD and (chunk := await part.read_chunk(_CHUNK)):
        field += chunk
    return bytes(field)


def _part(part: BodyPartReader, filename: str | None, begun: bytes) -> Part:
    return Part(filename, _content_type(part), _rest(part, begun))


def _content_type(part: BodyPartReader) -> str | None:
    return clean_content_type(part.headers.get("Content-Type"))


async def _whole(field: bytes) -> AsyncIterator[bytes]:
    yield field


async def _rest(part: BodyPartReader, begun: bytes) -> AsyncIterator[bytes]:
    if begun:
        yield begun
    try:
        while chunk := await part.read_chunk(_CHUNK):
            yield bytes(chunk)
    except (ValueError, RuntimeError, AssertionError, web.RequestPayloadError) as error:
        raise _malformed(error) from error
    if not part.at_eof():
        raise BadRequest("multipart parse error: the body ended inside a part")


def _malformed(error: Exception) -> BadRequest:
    reason = "the body broke off" if isinstance(error, web.RequestPayloadError) else "bad framing"
    return BadRequest(f"multipart parse error: {reason}")
