"""A domain error becomes an answer here, and nowhere else."""

from __future__ import annotations

from aiohttp import web

from filepipe.errors import (
    FilepipeError,
    MethodNotAllowed,
    RangeNotSatisfiable,
    Unavailable,
)
from filepipe.ranges import unsatisfied

RETRY_AFTER = "5"
"""Seconds after which an `Unavailable` may be gone."""


def headers_of(error: FilepipeError) -> dict[str, str]:
    """What a refusal says beside its sentence."""
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Access-Control-Allow-Origin": "*",
        "Server": "filepipe",
    }
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allow)
    if isinstance(error, RangeNotSatisfiable) and error.length is not None:
        headers["Content-Range"] = unsatisfied(error.length)
    if isinstance(error, Unavailable):
        headers["Retry-After"] = RETRY_AFTER
    return headers


def answer(request: web.BaseRequest, error: FilepipeError, *, newline: bool) -> web.StreamResponse:
    """The refusal as plain text, one sentence; `newline` ends it as a terminal likes it.

    A body that is not read is not waited for: the connection closes after the answer.
    """
    text = str(error) + ("\n" if newline else "")
    response = web.Response(status=error.status, text=text, headers=headers_of(error))
    if not request.content.is_eof():
        response.force_close()
    return response
