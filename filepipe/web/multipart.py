"""The one part of a multipart form that is meant: the first file, else the first field.

Rule 1: the first file is not lost without a word. What stands before it is read and dropped; where
        that had to be stored before a file could be expected, the coming of the file is an error.
Rule 2: memory holds at most `MAX_FIELD` bytes and the head of one part, whatever the form is like.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy

from filepipe.errors import BadRequest
from filepipe.protocols.disposition import clean_disposition, clean_filename, parse_filename
from filepipe.protocols.media import clean_content_type

MAX_FIELD = 64 * 1024
"""Bytes of a first field that is put by until it is known whether a file follows."""

MAX_PARTS = 128
"""Parts that a form may have; each costs the loop as much as a small request."""

MAX_HEADER = 8190
"""Bytes of a field in the head of a part."""

MAX_HEADERS = 128
"""Fields in the head of a part."""

_CHUNK = 64 * 1024

_CHARSET = re.compile(r'(;[ \t]*name[ \t]*=[ \t]*"?)_charset_("?[ \t]*(?:;|$))', re.IGNORECASE)

_FAULTS = (
    ValueError,
    RuntimeError,
    AssertionError,
    HttpProcessingError,
    web.RequestPayloadError,
)
"""What aiohttp's reader raises, depending on where a form is wrong."""


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
        return await _choose(_form(request))
    except _FAULTS as error:
        raise _malformed(error) from error


@dataclass(frozen=True, slots=True)
class FirstPart:
    """The first part, whatever it is; its fields as they came, and its body."""

    content_type: str | None
    disposition: str | None
    body: AsyncIterator[bytes]


async def first_part(request: web.BaseRequest) -> FirstPart:
    """The first part of a form. Raises `BadRequest`, later also from its body.

    What follows it is read, and dropped, before its body ends.
    """
    try:
        form = _form(request)
        part = await _next(form)
    except _FAULTS as error:
        raise _malformed(error) from error
    if part is None:
        raise BadRequest("multipart body contains no part")
    headers = part.headers
    return FirstPart(
        clean_content_type(headers.get("Content-Type")),
        clean_disposition(headers.get("Content-Disposition")),
        _alone(form, part),
    )


class _Form(MultipartReader):
    """A form whose fields are all alike.

    One that is called `_charset_` aiohttp reads by itself, and then takes the boundary behind it
    for the head of the next part. We have no use for what it says (RFC 7578, 4.6).
    """

    async def fetch_next_part(self) -> MultipartReader | BodyPartReader:
        """The next part, under another name if it has that one."""
        part = await super().fetch_next_part()
        if isinstance(part, BodyPartReader) and "Content-Disposition" in part.headers:
            headers = part.headers.copy()
            disposition = headers["Content-Disposition"]
            headers["Content-Disposition"] = _CHARSET.sub(r"\1charset\2", disposition)
            part.headers = CIMultiDictProxy(headers)
        return part


def _form(request: web.BaseRequest) -> MultipartReader:
    return _Form(
        request.headers, request.content, max_field_size=MAX_HEADER, max_headers=MAX_HEADERS
    )


async def _alone(form: MultipartReader, part: BodyPartReader) -> AsyncIterator[bytes]:
    async for chunk in _rest(part):
        yield chunk
    count = 1
    try:
        while await _next(form) is not None:
            count = _counted(count)
    except _FAULTS as error:
        raise _malformed(error) from error


def _counted(count: int) -> int:
    if count == MAX_PARTS:
        raise BadRequest(f"multipart body has more than {MAX_PARTS} parts")
    return count + 1


async def _choose(form: MultipartReader) -> Part:
    first: Part | None = None
    count = 0
    while (part := await _next(form)) is not None:
        count = _counted(count)
        if _is_file(part):
            return _part(part, _rest(part))
        if first is None:
            begun = await _begin(part)
            if len(begun) > MAX_FIELD:
                return _part(part, _long_field(form, part, begun))
            first = _part(part, _whole(begun))
    if first is None:
        raise BadRequest("multipart body contains no fields")
    return first


async def _next(form: MultipartReader) -> BodyPartReader | None:
    """The next part; what is left of the one before is dropped."""
    part = await form.next()
    if isinstance(part, MultipartReader):
        raise BadRequest("multipart parse error: a part is itself multipart")
    return part


def _is_file(part: BodyPartReader) -> bool:
    """Whether the part is a file, also one whose name cannot be used."""
    return parse_filename(part.headers.get("Content-Disposition")) is not None


def _part(part: BodyPartReader, body: AsyncIterator[bytes]) -> Part:
    content_type = clean_content_type(part.headers.get("Content-Type"))
    return Part(filename_of(part.headers), content_type, body)


async def _begin(part: BodyPartReader) -> bytes:
    """The whole field, or a little more than `MAX_FIELD` bytes of it."""
    field = bytearray()
    while len(field) <= MAX_FIELD and (chunk := await part.read_chunk(_CHUNK)):
        field += chunk
    return bytes(field)


async def _whole(field: bytes) -> AsyncIterator[bytes]:
    yield field


async def _long_field(
    form: MultipartReader, part: BodyPartReader, begun: bytes
) -> AsyncIterator[bytes]:
    yield begun
    async for chunk in _rest(part):
        yield chunk
    try:
        while (later := await _next(form)) is not None:
            if _is_file(later):
                raise BadRequest(f"a field of more than {MAX_FIELD} bytes stands before the file")
    except _FAULTS as error:
        raise _malformed(error) from error


async def _rest(part: BodyPartReader) -> AsyncIterator[bytes]:
    try:
        while chunk := await part.read_chunk(_CHUNK):
            yield bytes(chunk)
    except _FAULTS as error:
        raise _malformed(error) from error
    if not part.at_eof():
        raise BadRequest("multipart parse error: the body ended inside a part")


def _malformed(error: Exception) -> BadRequest:
    reason = "the body broke off" if isinstance(error, web.RequestPayloadError) else "bad framing"
    return BadRequest(f"multipart parse error: {reason}")
