"""The body of a request: its length, the invitation, what is said of it, all of a short one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from filepipe.accountant import Budget
from filepipe.channels.channel import Metadata
from filepipe.errors import BadRequest, ExpectationFailed, TooLarge
from filepipe.protocols.disposition import clean_disposition
from filepipe.protocols.media import (
    FORM_DATA,
    clean_content_encoding,
    clean_content_type,
    multipart_boundary,
)
from filepipe.web.fields import joined
from filepipe.web.multipart import choose_part, filename_of, first_part
from filepipe.web.parcel import Parcel
from filepipe.web.pumps import Pumps, body_of

SMALL = 64 * 1024
"""Bytes of a body that a full memory does not refuse."""

MAX_LABELS = 16
"""X-Piping lines that are handed on; more is a bad request."""


def length_of(request: web.BaseRequest) -> int | None:
    """The body's length; a request with no framing header has no body (RFC 9112, 6.3)."""
    if request.content_length is None and "Transfer-Encoding" not in request.headers:
        return 0
    return request.content_length


def check_expectation(request: web.BaseRequest) -> None:
    """Raise `ExpectationFailed` for what we cannot do."""
    expect = request.headers.get("Expect")
    if expect is not None and expect.strip().lower() != "100-continue":
        raise ExpectationFailed("the only expectation that is met here is 100-continue")


async def invite(request: web.BaseRequest) -> None:
    """Invite the body of a sender that waits for that (RFC 9110, 10.1.1)."""
    if "Expect" in request.headers and request.version >= (1, 1):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # what counts from here on is the answer's own output
        request.writer.output_size = 0


@contextlib.asynccontextmanager
async def held(
    request: web.BaseRequest, pumps: Pumps, memory: Budget, most: int
) -> AsyncIterator[bytes]:
    """All of a body of at most `most` bytes, paid for from `memory` while inside.

    Its sender is invited. Raises `TooLarge`, `OverBudget`, and as `Pumps.body`.
    """
    chunks: list[bytes] = []
    size = paid = 0
    try:
        _check_size(request.content_length or 0, most)
        await invite(request)
        async for chunk in pumps.body(request):
            size += len(chunk)
            _check_size(size, most)
            chunks.append(chunk)
            if size > paid + SMALL:
                memory.take(size - paid)
                paid = size
        yield b"".join(chunks)
    finally:
        memory.give(paid)


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise TooLarge(f"one append has at most {most} bytes")


def metadata_of(request: web.BaseRequest) -> Metadata:
    """What a request says of its body as a whole."""
    headers = request.headers
    return Metadata(
        length=length_of(request),
        content_type=clean_content_type(headers.get("Content-Type")),
        content_encoding=clean_content_encoding(joined(headers, "Content-Encoding")),
        filename=filename_of(headers),
        disposition=clean_disposition(headers.get("Content-Disposition")),
        labels=_labels(request),
    )


def _labels(request: web.BaseRequest) -> tuple[str, ...]:
    labels = tuple(request.headers.getall("X-Piping", ()))
    if len(labels) > MAX_LABELS:
        raise BadRequest(f"X-Piping stands there more than {MAX_LABELS} times")
    if not all(label.isprintable() for label in labels):
        raise BadRequest("X-Piping has a character that cannot be handed on")
    return labels


def is_form(request: web.BaseRequest) -> bool:
    """Whether the body is a form whose part is meant. Raises `BadRequest` for a bad boundary."""
    content_type = request.headers.get("Content-Type", "")
    if not content_type.lower().startswith(FORM_DATA):
        return False
    if multipart_boundary(FORM_DATA + content_type[len(FORM_DATA) :]) is None:
        raise BadRequest("the multipart boundary is missing or cannot be used")
    return True


async def whole_body(request: web.BaseRequest, pumps: Pumps) -> Parcel:
    """The request's body as it is."""
    return Parcel(metadata_of(request), body_of(request), whole=True)


async def meant_part(request: web.BaseRequest, pumps: Pumps) -> Parcel:
    """Of a form the part that is meant, else the body. Raises `BadRequest`, `Stalled`."""
    if not is_form(request):
        return await whole_body(request, pumps)
    with pumps.watch_sender() as watch:
        watch.begin()
        part = await choose_part(request)
    meta = Metadata(content_type=part.content_type, filename=part.filename, labels=_labels(request))
    return Parcel(meta, part.body, whole=False)


async def verbatim_part(request: web.BaseRequest, pumps: Pumps) -> Parcel:
    """Of a form the first part as it came, else the body. Raises `BadRequest`, `Stalled`."""
    if not is_form(request):
        return await whole_body(request, pumps)
    with pumps.watch_sender() as watch:
        watch.begin()
        part = await first_part(request)
    meta = Metadata(
        content_type=part.content_type,
        filename=filename_of({"Content-Disposition": part.disposition or ""}),
        disposition=part.disposition,
        labels=_labels(request),
    )
    return Parcel(meta, part.body, whole=False)
