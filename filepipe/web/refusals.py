"""A domain error becomes an answer here, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aiohttp import web

from filepipe.errors import (
    DiskFull,
    Draining,
    FilepipeError,
    LogClosed,
    MethodNotAllowed,
    NotAtEnd,
    OverBudget,
    RangeNotSatisfiable,
    SequenceGap,
    StaleEpoch,
    StorageAway,
    Unavailable,
    UnknownVersion,
    UpgradeRequired,
    WrongOffset,
)
from filepipe.protocols.uploads_api import error_answer
from filepipe.protocols.websocket import VERSION
from filepipe.ranges import unsatisfied
from filepipe.web.doorman import Answer

RETRY_AFTER = "5"
"""Seconds after which an `Unavailable` may be gone."""


def headers_of(error: FilepipeError) -> dict[str, str]:
    """What a refusal says beside its sentence."""
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Access-Control-Allow-Origin": "*",
        "Server": "filepipe",
        "X-Error-Code": error.code,
    }
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allow)
    if isinstance(error, RangeNotSatisfiable) and error.length is not None:
        headers["Content-Range"] = unsatisfied(error.length)
    if isinstance(error, (Unavailable, StorageAway)):
        headers["Retry-After"] = RETRY_AFTER
    if isinstance(error, UpgradeRequired):
        headers |= {"Upgrade": "websocket", "Sec-WebSocket-Version": VERSION}
    if isinstance(error, WrongOffset):
        headers["Upload-Offset"] = str(error.expected)
    if isinstance(error, NotAtEnd | LogClosed):
        headers["Stream-Next-Offset"] = str(error.end)
    if isinstance(error, StaleEpoch):
        headers["Producer-Epoch"] = str(error.epoch)
    if isinstance(error, SequenceGap):
        headers["Producer-Expected-Seq"] = str(error.expected)
        headers["Producer-Received-Seq"] = str(error.received)
    if isinstance(error, LogClosed):
        headers["Stream-Closed"] = "true"
    return headers


def answer(
    request: web.BaseRequest,
    error: FilepipeError,
    *,
    newline: bool,
    status: int | None = None,
    text: str | None = None,
) -> web.Response:
    """The refusal as plain text, one sentence; `newline` ends it as a terminal likes it.

    `status` and `text` are for a protocol that has its own. A body that is not read is not waited
    for: the connection closes after the answer.
    """
    text = (str(error) if text is None else text) + ("\n" if newline else "")
    response = web.Response(status=status or error.status, text=text, headers=headers_of(error))
    if closes(error) or not request.content.is_eof():
        response.force_close()
    return response


def answer_as_json(
    request: web.BaseRequest,
    error: FilepipeError,
    *,
    status: int | None = None,
    more: Mapping[str, str] | None = None,
) -> web.Response:
    """The refusal as the fronts of uploads give it; `more` are fields beside the usual ones.

    No room is 507 there (RFC 4918, 11.5).
    """
    status = status or (507 if isinstance(error, OverBudget | DiskFull) else error.status)
    headers = {**headers_of(error), "Content-Type": "application/json", **(more or {})}
    body = json.dumps(error_answer(error, status)).encode()
    response = web.Response(status=status, body=body, headers=headers)
    if closes(error) or not request.content.is_eof():
        response.force_close()
    return response


def closes(error: FilepipeError) -> bool:
    """Whether the caller had better go elsewhere, with a connection of its own."""
    return isinstance(error, Draining)


def answer_in_ours(
    request: web.BaseRequest, request_id: str, error: UnknownVersion
) -> web.StreamResponse:
    """The refusal of a version of HTTP, sent in ours; aiohttp would repeat theirs.

    What is returned says so to the log only: the connection is closing.
    """
    headers = {**headers_of(error), "Content-Type": "text/plain; charset=utf-8"}
    if request.transport is not None:
        refusal = Answer(error.status, headers, f"{error}\n".encode())
        request.transport.write(refusal.render(request_id, close=True))
        request.transport.close()
    return web.Response(status=error.status)
