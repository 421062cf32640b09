"""One request of a resumable upload, and what each of its answers has to say."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from aiohttp import web

from filepipe.errors import (
    DiskFull,
    FilepipeError,
    OverBudget,
    Refused,
    TooLarge,
    WrongLength,
    WrongOffset,
)
from filepipe.protocols import resumable
from filepipe.protocols.cors import RESUMABLE
from filepipe.records.uploads import Upload
from filepipe.web import refusals
from filepipe.web.fields import joined
from filepipe.web.interim import Interim, Wanted


@dataclass(frozen=True, slots=True)
class ResumableRules:
    """What the settings say; sizes in bytes, None for unlimited, `ttl` in seconds."""

    max_size: int | None
    max_append_size: int | None
    ttl: float
    storage: str
    interim: Wanted


@dataclass(slots=True)
class Turn:
    """One request, and what is known of its upload.

    `location` is the upload's URL, where the answer has to name it. `final` says that nobody can go
    on with the upload, however this request ends.
    """

    request: web.BaseRequest
    rules: ResumableRules
    prefix: str
    fields: resumable.Fields = field(init=False)
    interim: Interim = field(init=False)
    upload: Upload | None = None
    location: str | None = None
    final: bool = False

    def __post_init__(self) -> None:
        headers = self.request.headers
        self.fields = resumable.read_fields(lambda name: joined(headers, name))
        self.interim = Interim(self.request, self.interop, self.rules.interim)

    @property
    def interop(self) -> resumable.Interop:
        """The version of the draft that is spoken."""
        return self.fields.interop

    @property
    def media_type(self) -> str:
        """Of the body, without its parameters."""
        return self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def limits(self) -> resumable.Limits:
        """Of the upload, else of one that would begin now."""
        left = self.rules.ttl if self.upload is None else self.upload.expires - time.time()
        return resumable.Limits(self.rules.max_size, self.rules.max_append_size, max(0, int(left)))

    def headers(self, *, complete: bool, limits: bool = False) -> dict[str, str]:
        """The fields of an answer: how far the upload is, and `complete`, whether it has ended."""
        upload = self.upload
        headers = {
            **RESUMABLE,
            "Server": "filepipe",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        headers |= resumable.answer_fields(
            self.interop,
            complete,
            None if upload is None else upload.offset,
            None if upload is None else upload.total_size,
            self.limits if limits else None,
        )
        if self.location is not None:
            headers["Location"] = self.location
        return headers

    def refusal(self, error: FilepipeError) -> web.Response:
        """The refusal as a problem (RFC 9457); a body that is not read is not waited for."""
        status = 507 if isinstance(error, OverBudget | DiskFull) else error.status
        complete = self.final or self._is_final(error)
        limits = isinstance(error, TooLarge) or self.location is not None
        headers = self.headers(complete=complete, limits=limits) | refusals.headers_of(error)
        if isinstance(error, WrongOffset):
            headers["Upload-Offset"] = str(error.expected)
        headers["Content-Type"] = "application/problem+json"
        ended = self.upload is not None and self.upload.status == "complete"
        body = resumable.problem(self.interop, error, status, complete=ended)
        response = web.Response(status=status, body=body, headers=headers)
        if refusals.closes(error) or not self.request.content.is_eof():
            response.force_close()
        return response

    def _is_final(self, error: FilepipeError) -> bool:
        """Whether to try again, also in another way, is of no use: there is nothing to go on with.

        A smaller body may do where one was too large, and so may another length.
        """
        if self.upload is not None:
            return self.upload.status == "complete"
        return isinstance(error, Refused) and not isinstance(error, TooLarge | WrongLength)
