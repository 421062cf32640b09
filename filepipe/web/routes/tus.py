"""tus 1.0.0 on uploads that grow by their offset: one flow for every row of its table.

Rule 1: what can be refused is refused before a byte of the body is read, also before it is invited.
Rule 2: nobody learns the URL of an upload before its creation is answered. One whose creation fails
        is removed: nobody could go on with it, and its key would stay taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from aiohttp import web

from filepipe.channels.channel import Metadata
from filepipe.channels.offset_plan import Wish, ends_by_itself, is_whole, notes_of, offset_of
from filepipe.errors import (
    BadRequest,
    Busy,
    FilepipeError,
    Forbidden,
    Gone,
    MethodNotAllowed,
    NotFound,
    OtherVersion,
    PastLength,
    Stalled,
    StorageFailed,
    WrongChecksum,
    WrongOffset,
)
from filepipe.logs import get_logger
from filepipe.protocols import tus
from filepipe.protocols.cors import RESUMABLE
from filepipe.protocols.disposition import clean_filename
from filepipe.protocols.tus import Place, Said, Standing, new_hash
from filepipe.protocols.tus_metadata import TusMetadata
from filepipe.records.uploads import Upload
from filepipe.web import refusals
from filepipe.web.api_key import admit, given_key
from filepipe.web.bodies import check_expectation, invite, length_of
from filepipe.web.context import Context
from filepipe.web.fields import joined
from filepipe.web.upload_access import UploadAccess

log = get_logger("filepipe.tus")

FRONT = "tus"
"""How the records call these uploads."""

_HEADERS = {**RESUMABLE, "X-Content-Type-Options": "nosniff", "Server": "filepipe"}

# Clients try again after a 5xx or a 423, and give up after nearly every other 4xx.
_STATUSES: Mapping[type[FilepipeError], int] = {Busy: 423, Stalled: 503}
_SOON = "1"
"""Seconds after which who writes there will have let go."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be served; `upload` is None at the collection."""

    request: web.BaseRequest
    said: Said
    principal: str
    prefix: str
    upload: Upload | None


Operation = Callable[[Call], Awaitable[Standing]]


class Tus:
    """Answers for the uploads of tus; every refusal is an answer."""

    def __init__(self, context: Context, access: UploadAccess, max_size: int | None) -> None:
        self._context = context
        self._uploads = context.offsets
        self._access = access
        self._max_size = max_size
        self._operations: Mapping[Place, Mapping[str, Operation]] = {
            "collection": {"POST": self._create},
            "upload": {"HEAD": self._look, "PATCH": self._append, "DELETE": self._cancel},
        }

    def announcement(self) -> dict[str, str]:
        """What OPTIONS says of tus."""
        return tus.announcement(self._max_size)

    async def create(self, request: web.BaseRequest, prefix: str) -> web.StreamResponse:
        """Answer at the collection, which is below `prefix`."""
        return await self._answer(request, "collection", "", prefix)

    async def serve(
        self, request: web.BaseRequest, upload_id: str, prefix: str
    ) -> web.StreamResponse:
        """Answer at an upload's own URL."""
        return await self._answer(request, "upload", upload_id, prefix)

    async def _answer(
        self, request: web.BaseRequest, place: Place, upload_id: str, prefix: str
    ) -> web.StreamResponse:
        try:
            rule, standing = await self._serve(request, place, upload_id, prefix)
        except FilepipeError as error:
            return self._refuse(request, error)
        return web.Response(status=rule.success, headers={**_HEADERS, **tus.tell(rule, standing)})

    async def _serve(
        self, request: web.BaseRequest, place: Place, upload_id: str, prefix: str
    ) -> tuple[tus.Rule, Standing]:
        field = functools.partial(joined, request.headers)
        method = tus.meant_method(request.method, field)
        tus.check_version(field)
        principal = admit(given_key(request), self._access.api_key)
        rule = tus.RULES[place].get(method)
        if rule is None:
            allow = (*tus.RULES[place], *(("GET",) if upload_id else ()), "OPTIONS")
            raise MethodNotAllowed(f"{method} is not supported here", allow)
        upload = await self._upload(upload_id, principal) if upload_id else None
        check_expectation(request)
        call = Call(request, tus.read(rule, field), principal, prefix, upload)
        return rule, await self._operations[place][method](call)

    async def _upload(self, upload_id: str, principal: str) -> Upload:
        """The caller's upload. Raises `NotFound`, `Gone`."""
        upload = await self._uploads.find(upload_id)
        if upload.principal != principal or upload.front != FRONT:
            raise NotFound("there is no such upload")
        return upload

    # -- operations

    async def _create(self, call: Call) -> Standing:
        concat, wish = call.said.concat, self._wish(call)
        if concat is not None and concat.ids is not None:
            upload = await self._joined(wish, concat.ids)
        else:
            self._check_body(call)
            upload = await self._uploads.begin(wish)
            try:
                upload = await self._begun(call, upload)
            except BaseException:  # see rule 2
                with contextlib.suppress(NotFound, Gone):
                    await asyncio.shield(self._uploads.cancel(upload.id))
                raise
        base = (self._context.rules.public_url or "").rstrip("/")
        return replace(_standing(upload), location=f"{base}{call.prefix}/files/{upload.id}")

    def _wish(self, call: Call) -> Wish:
        """What is wanted, all of it checked. Raises `BadRequest`, `BadKey`."""
        said, notes = call.said, {}
        if said.metadata.text is not None:
            notes["metadata"] = said.metadata.text
        # what is to be joined has no name of its own: that of the whole counts
        metadata = said.metadata
        if said.concat is not None:
            notes["concat"], _, notes["urls"] = said.concat.text.partition(";")
            if said.concat.ids is None:
                metadata = TusMetadata()
        path = metadata.path
        filename = None if path is None else clean_filename(path.name)
        return Wish(
            principal=call.principal,
            front=FRONT,
            key=metadata.key,
            path=path,
            unique=self._access.unique,
            length=said.length,
            meta=Metadata(content_type=metadata.content_type, filename=filename),
            notes=notes,
            storage=self._access.storage,
        )

    async def _begun(self, call: Call, upload: Upload) -> Upload:
        """The upload with the body that came with its creation, complete if that was all."""
        if call.said.chunk:
            await self._take(call, upload, 0)
        return await self._finished(await self._uploads.find(upload.id))

    async def _joined(self, wish: Wish, ids: Sequence[str]) -> Upload:
        """The whole of uploads that are here. Raises `BadRequest` where one of them is not."""
        try:
            return await self._uploads.concatenate(wish, ids)
        except (NotFound, Gone):
            raise BadRequest("Upload-Concat names an upload that is not here") from None

    async def _look(self, call: Call) -> Standing:
        assert call.upload is not None
        return _standing(await self._finished(await self._uploads.settle(call.upload.id)))

    async def _append(self, call: Call) -> Standing:
        upload, offset = call.upload, call.said.offset
        assert upload is not None
        assert offset is not None
        if notes_of(upload).get("concat") == "final":
            raise Forbidden("a final upload is put together of others, and takes no bytes")
        if upload.status == "complete":
            self._check_end(call, upload, offset)
            return _standing(upload)
        await self._take(call, upload, offset)
        return _standing(await self._finished(await self._uploads.find(upload.id)))

    def _check_end(self, call: Call, upload: Upload, offset: int) -> None:
        """At the end of a complete upload no bytes are fine, for a client whose answer was lost."""
        if offset != upload.offset:
            raise WrongOffset(offset_of(upload), offset)
        if length_of(call.request) != 0:
            raise PastLength(f"the upload has {upload.offset} bytes, and not more")

    async def _cancel(self, call: Call) -> Standing:
        assert call.upload is not None
        await self._uploads.cancel(call.upload.id)
        return Standing()

    # -- bodies

    def _check_body(self, call: Call) -> None:
        """Refuse a body that says itself that it is too large for a new upload.

        Raises `TooLarge`, `PastLength`.
        """
        said, announced = call.said, call.request.content_length
        if said.chunk:
            self._context.pumps.check_length(announced)
            if said.length is not None and announced is not None and announced > said.length:
                raise PastLength(f"the upload has {said.length} bytes, and not more")

    async def _take(self, call: Call, upload: Upload, offset: int) -> None:
        """Append the body; nothing of it where it has not the checksum that it came with."""
        request, checksum = call.request, call.said.checksum
        self._context.pumps.check_length(request.content_length)
        hashing = None if checksum is None else new_hash(checksum.algorithm)
        async with self._uploads.appending(
            upload.id,
            offset,
            length=call.said.length,
            announced=length_of(request),
            staged=checksum is not None,
            hashing=hashing,
        ) as appending:
            await invite(request)
            await self._context.pumps.receive(request, appending.writer)
            if checksum is not None and hashing is not None:
                await appending.hashed()
                if hashing.digest() != checksum.digest:
                    raise WrongChecksum("the body does not have the checksum that came with it")
                await appending.commit()

    async def _finished(self, upload: Upload) -> Upload:
        """The upload, complete if every byte is here: also one whose finishing failed before.

        Raises `StorageFailed` when it fails again.
        """
        if upload.status != "complete" and is_whole(upload) and ends_by_itself(upload):
            upload = await self._uploads.complete(upload.id)
            if upload.status == "failed":
                raise StorageFailed(upload.error or "the upload could not be finished")
        return upload

    # -- refusals

    def _refuse(self, request: web.BaseRequest, error: FilepipeError) -> web.StreamResponse:
        if isinstance(error, StorageFailed):
            log.warning("storage failed", reason=repr(error.__cause__))
        more = {**RESUMABLE, "Tus-Resumable": tus.VERSION}
        if isinstance(error, OtherVersion):
            more["Tus-Version"] = tus.VERSION
        if isinstance(error, Busy):
            more["Retry-After"] = _SOON
        return refusals.answer_as_json(request, error, status=_STATUSES.get(type(error)), more=more)


def _standing(upload: Upload) -> Standing:
    notes = notes_of(upload)
    word, urls = notes.get("concat"), notes.get("urls")
    return Standing(
        offset=upload.offset,
        length=upload.total_size,
        metadata=notes.get("metadata"),
        concat=f"{word};{urls}" if urls else word,
        expires=upload.expires,
    )
