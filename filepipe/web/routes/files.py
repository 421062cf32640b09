"""The front at `/files/`: uploads that grow by their offset, each at its own URL.

Two dialects meet here. What comes to the collection means tus, and so does a request with
`Tus-Resumable` or with a body of the type of tus; what has a field of the IETF's resumable uploads
means these; and what has neither means the one in which the upload was begun.
"""

from __future__ import annotations

import re

from aiohttp import web

from filepipe.channels.retention import Retention
from filepipe.errors import FilepipeError, Gone, NotFound, StorageFailed
from filepipe.logs import get_logger
from filepipe.protocols.cors import PREFLIGHT, RESUMABLE
from filepipe.protocols.resumable import MEDIA_TYPE
from filepipe.protocols.tus import CHUNK
from filepipe.records.uploads import Upload
from filepipe.web import refusals
from filepipe.web.api_key import admit, given_key
from filepipe.web.context import Context
from filepipe.web.exchange import EXCHANGE, loggable
from filepipe.web.routes import pipes
from filepipe.web.routes.resumable import ResumableUploads
from filepipe.web.routes.tus import FRONT, Tus
from filepipe.web.upload_access import UploadAccess

log = get_logger("filepipe.uploads")

_PATH = re.compile(r"(?:/files)?/?(?P<id>[^/]*)")
_ID = re.compile(r"[0-9a-f]{32}")
_DIALECT = pipes.Dialect(retention=Retention(after_end=0.0), names_from_key=False, raw_names=False)


class Files:
    """A front: `serve` answers one request whose path has lost the front's prefix."""

    newline = False
    own_paths: frozenset[str] = frozenset()

    def __init__(
        self, context: Context, access: UploadAccess, tus: Tus, resumable: ResumableUploads
    ) -> None:
        self._context = context
        self._access = access
        self._tus = tus
        self._resumable = resumable

    async def serve(
        self, request: web.BaseRequest, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        """Answer in the dialect that is meant; refusals are JSON, or as that dialect has them."""
        request[EXCHANGE].path = loggable(request[EXCHANGE].path)
        try:
            return await self._serve(request, path, prefix)
        except FilepipeError as error:
            if isinstance(error, StorageFailed):
                log.warning("storage failed", reason=repr(error.__cause__))
            return refusals.answer_as_json(request, error, more=RESUMABLE)

    async def _serve(self, request: web.BaseRequest, path: str, prefix: str) -> web.StreamResponse:
        found = _PATH.fullmatch(path)
        if found is None:
            raise NotFound("there is nothing here")
        upload_id = found["id"]
        if upload_id and not _ID.fullmatch(upload_id):
            raise NotFound("there is no such upload")
        if request.method == "OPTIONS":
            return self._options(request)
        if not upload_id:
            return await self._tus.create(request, prefix)
        if not await self._means_tus(request, upload_id):
            return await self._resumable.serve(request, upload_id, prefix)
        if request.method == "GET" and "X-HTTP-Method-Override" not in request.headers:
            return await self._content(request, await self._context.offsets.find(upload_id))
        return await self._tus.serve(request, upload_id, prefix)

    def _options(self, request: web.BaseRequest) -> web.StreamResponse:
        said = {**self._tus.announcement(), **self._resumable.limits_at_start(request)}
        # not 204, which old browsers take for a refusal of what they ask before
        return web.Response(headers={**PREFLIGHT, **said})

    async def _means_tus(self, request: web.BaseRequest, upload_id: str) -> bool:
        headers = request.headers
        content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if request.method != "GET":  # whoever reads may be somebody else than who wrote
            if "Tus-Resumable" in headers or content_type == CHUNK:
                return True
            if "Upload-Complete" in headers or content_type == MEDIA_TYPE:
                return False
        try:
            return (await self._context.offsets.find(upload_id)).front == FRONT
        except (NotFound, Gone):
            return False

    async def _content(self, request: web.BaseRequest, upload: Upload) -> web.StreamResponse:
        admit(given_key(request), self._access.api_key)
        async with self._context.offsets.reading(upload) as channel:
            return await pipes.read(self._context, request, channel, _DIALECT)
