"""Resumable PUT and POST: a body of any key that may come in pieces, over cuts and restarts.

Rule 1: what can be refused is refused before a byte of the body is read.
Rule 2: an offset is told after the bytes below it, and the record of it, are on the disk.
Rule 3: who knows the upload's URL may go on with it, or remove it; nobody can guess it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from aiohttp import web

from filepipe.channels.offset_plan import Wish, notes_of, offset_of
from filepipe.channels.offset_uploads import OffsetUploads
from filepipe.channels.retention import Retention
from filepipe.errors import (
    BadRequest,
    Broken,
    Busy,
    Conflict,
    FilepipeError,
    MethodNotAllowed,
    NotFound,
    PastLength,
    PreconditionFailed,
    Stalled,
    StorageFailed,
    Unprocessable,
    UnsupportedMedia,
    WrongLength,
    WrongOffset,
)
from filepipe.keys import Key
from filepipe.logs import get_logger
from filepipe.protocols import digest, resumable
from filepipe.records.uploads import Upload
from filepipe.web.bodies import check_expectation, invite, is_form, length_of, metadata_of
from filepipe.web.context import Context
from filepipe.web.fields import joined
from filepipe.web.pumps import body_of
from filepipe.web.routes import pages, pipes
from filepipe.web.routes.resumable_turn import ResumableRules, Turn

log = get_logger("filepipe.uploads")

FRONT = "resumable"
"""What the records call these uploads."""

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH")
"""Of an upload's own URL."""

_OPT_IN = ("Upload-Complete", "Upload-Incomplete")
"""Without one of these it is an ordinary request."""

_QUERIES = ("n", "wait", "max-age")
"""What a query may ask of other bodies, and not of one that is kept like this."""

_HEADERS = ("Content-Range", "X-Forward-Url")
"""What a header may, and not beside these."""

_DIALECT = pipes.Dialect(retention=Retention(after_end=0.0), names_from_key=True, raw_names=False)


class ResumableUploads:
    """Answers for the uploads that a PUT or POST with `Upload-Complete` makes."""

    def __init__(self, context: Context, uploads: OffsetUploads, rules: ResumableRules) -> None:
        self._context = context
        self._uploads = uploads
        self._rules = rules
        self._methods: dict[str, Callable[[Turn, Upload], Awaitable[web.StreamResponse]]] = {
            "DELETE": self._cancel,
            "GET": self._content,
            "HEAD": self._offset,
            "PATCH": self._append,
        }

    def is_meant(self, request: web.BaseRequest) -> bool:
        """Whether a PUT or POST of a key is to be resumable."""
        if not any(name in request.headers for name in _OPT_IN):
            return False
        return Turn(request, self._rules, "").fields.complete is not None

    def limits_at_start(self, request: web.BaseRequest) -> dict[str, str]:
        """What OPTIONS says of uploads to come."""
        turn = Turn(request, self._rules, "")
        return {
            "Upload-Limit": turn.limits.render(turn.interop),
            "Accept-Patch": resumable.MEDIA_TYPE,
        }

    async def create(
        self, request: web.BaseRequest, key: Key, arguments: Mapping[str, str], prefix: str
    ) -> web.StreamResponse:
        """Take the body under `key`, or as much of it as comes; refusals are answers too."""
        turn = Turn(request, self._rules, prefix)
        try:
            return await self._create(turn, key, arguments)
        except FilepipeError as error:
            return await self._refuse(turn, error)

    def refuse(self, request: web.BaseRequest, error: FilepipeError) -> web.Response:
        """Answer to who wants an upload where none can be."""
        return Turn(request, self._rules, "").refusal(error)

    async def serve(
        self, request: web.BaseRequest, upload_id: str, prefix: str
    ) -> web.StreamResponse:
        """Answer at an upload's own URL; refusals are answers too."""
        turn = Turn(request, self._rules, prefix)
        try:
            return await self._serve(turn, upload_id)
        except FilepipeError as error:
            return await self._refuse(turn, error)

    async def _refuse(self, turn: Turn, error: FilepipeError) -> web.StreamResponse:
        if isinstance(error, StorageFailed):
            log.warning("storage failed", reason=repr(error.__cause__))
        if turn.upload is not None and not turn.final:
            try:
                turn.upload = await self._uploads.find(turn.upload.id)
            except FilepipeError:  # it is gone, or cannot be found out
                turn.upload, turn.location, turn.final = None, None, True
        return turn.refusal(error)

    # -- a key

    async def _create(
        self, turn: Turn, key: Key, arguments: Mapping[str, str]
    ) -> web.StreamResponse:
        request = turn.request
        self._check_alone(turn, arguments)
        self._context.pumps.check_length(request.content_length)
        length = resumable.announced_length(turn.fields, 0, length_of(request))
        notes = _notes(turn)
        _content_digest(request)
        check_expectation(request)
        meta = metadata_of(request)
        wish = Wish(
            principal=request.remote or "",
            front=FRONT,
            key=key,
            path=None,
            unique=True,
            length=length,
            meta=meta,
            notes=notes,
            storage=self._rules.storage,
        )
        turn.upload = await self._uploads.begin(wish)
        turn.location = self._location(turn, turn.upload)
        await turn.interim.announce(turn.location, turn.limits)
        try:
            await self._take(turn, turn.upload, 0, length)
        except _Damaged:
            await self._give_up(turn)
            turn.final = True
            raise
        except (asyncio.CancelledError, Broken) as error:
            # nobody has learned the URL of what a lost sender has begun, unless it was announced
            if not isinstance(error, Stalled) and not turn.interim.announced:
                await asyncio.shield(self._give_up(turn))
            raise
        if turn.fields.complete:
            return await self._finish(turn)
        return web.Response(status=201, headers=turn.headers(complete=False, limits=True))

    def _check_alone(self, turn: Turn, arguments: Mapping[str, str]) -> None:
        """Refuse what cannot be combined with a body that may come in pieces."""
        headers = turn.request.headers
        for name in _QUERIES:
            if name in arguments:
                raise BadRequest(f"?{name} is not supported with a resumable upload")
        for name in _HEADERS:
            if name in headers:
                raise BadRequest(f"{name} is not supported with a resumable upload")
        if "If-Match" in headers:
            raise PreconditionFailed("an upload replaces no object, whatever If-Match names")
        if is_form(turn.request):
            raise UnsupportedMedia("a form cannot be resumed, send the file itself")
        if turn.fields.offset:
            raise BadRequest("an upload begins at offset 0, and goes on at its own URL")

    def _location(self, turn: Turn, upload: Upload) -> str:
        """The URL of an upload: only a path, unless it is known what is before it outside."""
        public = self._context.rules.public_url
        base = "" if public is None else public.rstrip("/")
        return f"{base}{turn.prefix}/files/{upload.id}"

    # -- an upload

    async def _serve(self, turn: Turn, upload_id: str) -> web.StreamResponse:
        method = turn.request.method
        operation = self._methods.get(method)
        if operation is None:
            raise MethodNotAllowed(f"{method} is not supported here", METHODS)
        upload = await self._uploads.find(upload_id)
        if upload.front != FRONT:
            raise NotFound("there is no such upload")
        turn.upload = upload
        asked = turn.fields.offset is not None or turn.fields.complete is not None
        if method != "PATCH" and turn.interop.bare and asked:
            raise BadRequest(f"{method} takes neither an offset nor Upload-Complete")
        return await operation(turn, upload)

    async def _offset(self, turn: Turn, upload: Upload) -> web.StreamResponse:
        turn.upload = upload = await self._uploads.settle(upload.id)
        headers = turn.headers(complete=upload.status == "complete", limits=True)
        return web.Response(status=204, headers=headers)

    async def _cancel(self, turn: Turn, upload: Upload) -> web.StreamResponse:
        await self._uploads.cancel(upload.id)
        return web.Response(status=204, headers={"Access-Control-Allow-Origin": "*"})

    async def _content(self, turn: Turn, upload: Upload) -> web.StreamResponse:
        async with self._uploads.reading(upload) as channel:
            return await pipes.read(self._context, turn.request, channel, _DIALECT)

    async def _append(self, turn: Turn, upload: Upload) -> web.StreamResponse:
        request, fields = turn.request, turn.fields
        if turn.interop.typed and turn.media_type != resumable.MEDIA_TYPE:
            raise UnsupportedMedia(f"the type of an append is {resumable.MEDIA_TYPE}")
        if fields.offset is None or fields.complete is None:
            raise BadRequest("an append needs Upload-Offset and Upload-Complete")
        if upload.status in ("complete", "finalizing"):
            return await self._replay(turn, upload)
        self._context.pumps.check_length(request.content_length)
        _content_digest(request)
        check_expectation(request)
        # what it says of its length means something only where it goes on
        upload = turn.upload = await self._uploads.settle(upload.id)
        if fields.offset != upload.offset:
            raise WrongOffset(offset_of(upload), fields.offset)
        length = resumable.announced_length(fields, fields.offset, length_of(request))
        await self._take(turn, upload, fields.offset, length)
        if fields.complete:
            return await self._finish(turn)
        return web.Response(status=turn.interop.appended, headers=turn.headers(complete=False))

    async def _replay(self, turn: Turn, upload: Upload) -> web.StreamResponse:
        """Answer once more to who did not hear that the upload is complete."""
        if turn.fields.offset != upload.offset or not turn.fields.complete:
            raise Conflict("the upload is complete already")
        await invite(turn.request)
        with self._context.pumps.watch_sender() as watch:
            watch.begin()
            async for _chunk in body_of(turn.request):
                raise Conflict("the upload is complete already")
        return await self._end(turn, upload)

    # -- bytes

    async def _take(self, turn: Turn, upload: Upload, offset: int, length: int | None) -> None:
        """Append the body, all of it or what comes; of one with a digest all or nothing."""
        stated = _content_digest(turn.request)
        hashes = digest.Hashes(stated)
        try:
            async with self._uploads.appending(
                upload.id,
                offset,
                length=length,
                announced=length_of(turn.request),
                staged=bool(stated),
                hashing=hashes if stated else None,
            ) as appending:
                await invite(turn.request)
                async with turn.interim.reporting(lambda: appending.recorded):
                    await self._context.pumps.receive(turn.request, appending.writer)
                if stated:
                    await appending.hashed()
                    if hashes.digests() != stated:
                        raise _Damaged("the body has another digest than Content-Digest states")
                    await appending.commit()
        except PastLength as error:
            await self._give_up(turn)
            raise WrongLength(str(error)) from None
        turn.upload = await self._uploads.find(upload.id)

    async def _finish(self, turn: Turn) -> web.StreamResponse:
        """The last byte is here: check the whole, name it, answer as to any PUT."""
        upload = turn.upload
        assert upload is not None
        if upload.total_size is None:
            await self._uploads.set_length(upload.id, offset_of(upload))
        elif upload.total_size != upload.offset:
            raise WrongLength("the last body ends before the length that was announced")
        stated = digest.stated("Repr-Digest", notes_of(upload).get("repr-digest"))
        if stated and await self._digests(upload, stated) != stated:
            await self._give_up(turn)
            turn.final = True
            raise Unprocessable("the whole does not have the digest that Repr-Digest stated")
        return await self._end(turn, upload)

    async def _end(self, turn: Turn, upload: Upload) -> web.StreamResponse:
        turn.upload = upload = await self._uploads.complete(upload.id)
        if upload.status == "failed":
            raise StorageFailed(upload.error or "the upload could not be finished")
        if upload.status != "complete":
            raise Busy("every byte is here; ask again for the end")
        return await self._receipt(turn, upload)

    async def _receipt(self, turn: Turn, upload: Upload) -> web.StreamResponse:
        """The answer to an upload that is complete, which is the same each time."""
        headers = turn.headers(complete=True)
        async with self._uploads.reading(upload) as channel:
            receipt, text = pipes.receipt(
                channel, pages.base_url(self._context, turn.request), turn.prefix
            )
            if algorithm := notes_of(upload).get("want-digest"):
                raw = await pipes.digest_of(channel, algorithm)
                headers["Repr-Digest"] = digest.repr_digest(algorithm, raw)
        return web.Response(text=text, headers={**headers, **receipt})

    async def _digests(self, upload: Upload, algorithms: Iterable[str]) -> dict[str, bytes]:
        """The digests of what is here of an upload."""
        hashes = digest.Hashes(algorithms)
        await self._uploads.feed(upload.id, hashes)
        return hashes.digests()

    async def _give_up(self, turn: Turn) -> None:
        """Remove an upload that nobody can make good."""
        assert turn.upload is not None
        await self._uploads.cancel(turn.upload.id)
        turn.upload, turn.location = None, None


class _Damaged(BadRequest):
    """A body is not what its digest says."""


def _notes(turn: Turn) -> dict[str, str]:
    """What the end of the upload has to know of its beginning. Raises `BadRequest`."""
    headers = turn.request.headers
    notes = {}
    stated = joined(headers, "Repr-Digest")
    if digest.stated("Repr-Digest", stated):
        notes["repr-digest"] = stated or ""
    algorithm = digest.wanted(joined(headers, "Want-Repr-Digest"))
    if algorithm is not None:
        notes["want-digest"] = algorithm
    return notes


def _content_digest(request: web.BaseRequest) -> dict[str, bytes]:
    """What the body is said to hash to. Raises `BadRequest`."""
    return digest.stated("Content-Digest", joined(request.headers, "Content-Digest"))
