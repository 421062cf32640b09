"""The protocol uploads: the parts API, for every client of it and for `curl`.

One flow: who asks, what for, then the engine, then JSON. Every answer has a JSON body.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping

from aiohttp import web

from filepipe.channels.retention import Retention
from filepipe.channels.upload_plan import Wanted, plan_of
from filepipe.channels.uploads import Uploads
from filepipe.errors import (
    BadRequest,
    Conflict,
    FilepipeError,
    MethodNotAllowed,
    NotFound,
    StorageFailed,
    TooLarge,
    Unauthorized,
    Unprocessable,
    UnsupportedMedia,
)
from filepipe.logs import get_logger
from filepipe.protocols import part_tokens, uploads_api
from filepipe.protocols.query import parse_query
from filepipe.protocols.upload_names import upload_path
from filepipe.records.uploads import Upload
from filepipe.web import refusals
from filepipe.web.api_key import admit
from filepipe.web.bodies import check_expectation, invite
from filepipe.web.context import Context
from filepipe.web.part_body import PartBody
from filepipe.web.routes import pipes
from filepipe.web.upload_access import UploadAccess

log = get_logger("filepipe.uploads")

Operation = Callable[[web.BaseRequest, list[str], str], Awaitable[web.StreamResponse]]

MOST_LISTED = 1000
"""Uploads on one page."""

_WORDS = frozenset({"init"})
_DIALECT = pipes.Dialect(retention=Retention(after_end=0.0), names_from_key=False, raw_names=False)

MAX_JSON = 64 * 1024
"""Bytes of a request that is JSON."""

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBER = re.compile(r"[0-9]{1,6}")
_JSON = re.compile(r"application/(?:json|[A-Za-z0-9!#$&^_.-]+\+json)[ \t]*(?:;.*)?", re.IGNORECASE)

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, X-API-Key, Content-Type",
    "Access-Control-Max-Age": "86400",
}
_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Server": "filepipe",
}


class UploadsFront:
    """A front: `serve` answers one request whose path has lost the front's prefix."""

    newline = False
    own_paths = frozenset({"/health"})

    def __init__(self, context: Context, uploads: Uploads, access: UploadAccess) -> None:
        self._context = context
        self._uploads = uploads
        self._access = access
        self._operations: dict[str, dict[str, Operation]] = {
            "upload": {"GET": self._list},
            "upload/init": {"POST": self._init},
            "upload/*": {"DELETE": self._cancel},
            "upload/*/part/*": {"PUT": self._put},
            "upload/*/status": {"GET": self._status},
            "upload/*/complete": {"POST": self._complete},
            "upload/*/tokens": {"POST": self._tokens},
            "upload/*/content": {"GET": self._content},
        }

    async def serve(
        self, request: web.BaseRequest, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        """Answer what is asked of the uploads; refusals are JSON."""
        try:
            return await self._serve(request, path.replace("//", "/", 1), query)
        except StorageFailed as error:
            log.warning("storage failed", reason=repr(error.__cause__))
            return refusals.answer_as_json(request, error)
        except FilepipeError as error:
            return refusals.answer_as_json(request, error)

    async def _serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return web.Response(status=200, headers=_CORS)
        if path == "/health":
            return await self._health(request)
        segments = path.strip("/").split("/") if path == path.rstrip("/") else []
        operation = self._operation(request.method, segments)
        return await operation(request, segments, query)

    def _operation(self, method: str, segments: list[str]) -> Operation:
        """What a method means on a path. Raises `NotFound`, `MethodNotAllowed`."""
        shape = "/".join(
            "*" if index in (1, 3) and segment not in _WORDS else segment
            for index, segment in enumerate(segments)
        )
        methods = self._operations.get(shape)
        if methods is None:
            raise NotFound("there is nothing here")
        operation = methods.get("GET" if method == "HEAD" else method)
        if operation is None:
            raise MethodNotAllowed(f"{method} is not supported here", (*methods, "OPTIONS"))
        return operation

    # -- who asks

    def _admit(self, request: web.BaseRequest) -> str:
        """The principal of the API key. Raises `Unauthorized`."""
        return admit(request.headers.get("X-API-Key"), self._access.api_key)

    async def _upload(self, request: web.BaseRequest, upload_id: str) -> Upload:
        """The caller's upload. Raises `Unauthorized`, `NotFound`."""
        principal = self._admit(request)
        upload = await self._uploads.find(_checked_id(upload_id))
        if upload.principal != principal:
            raise NotFound(f"Upload {upload_id} not found")
        return upload

    # -- operations

    async def _init(
        self, request: web.BaseRequest, segments: list[str], query: str
    ) -> web.StreamResponse:
        principal = self._admit(request)
        if not _JSON.fullmatch(request.headers.get("Content-Type", "")):
            raise UnsupportedMedia("Expected request with `Content-Type: application/json`")
        init = uploads_api.parse_init(await self._small_body(request))
        if init.webhook_url is not None:
            self._access.webhooks.check_url(init.webhook_url)
        access = self._access
        storage = access.storage_of(init.storage)
        wanted = Wanted(
            path=upload_path(init.filename if not init.path else f"{init.path}/{init.filename}"),
            plan=access.plan(init.total_size, self._uploads.traits(storage)),
            storage=storage,
            unique=access.unique if init.unique is None else init.unique,
            checksum=init.checksum_sha256,
            webhook_url=init.webhook_url,
        )
        upload = await self._uploads.begin(principal, wanted)
        await _load_tokens()  # before many parts come at once and wait for it
        tokens = self._mint(upload, range(upload.total_parts))
        return _json(uploads_api.init_answer(upload, tokens))

    async def _put(
        self, request: web.BaseRequest, segments: list[str], query: str
    ) -> web.StreamResponse:
        body = PartBody(self._context.pumps, request)
        with body.held():
            upload, number = await self._addressed(request, segments)
            size = plan_of(upload).size_of(number)
            announced = request.content_length
            if announced is not None and announced != size:
                raise BadRequest(f"Part size mismatch: expected {size}, got {announced}")
            self._context.pumps.check_length(size)
            check_expectation(request)
            self._context.service.uploads.check_draining()
            await invite(request)
            with self._context.pumps.counted("in"):
                part, stored = await self._uploads.put_part(upload, number, body)
        return _json(uploads_api.part_answer(upload, part, stored))

    async def _addressed(self, request: web.BaseRequest, segments: list[str]) -> tuple[Upload, int]:
        """Which part of which upload the request may store. Raises `Unauthorized`, `NotFound`."""
        upload_id, number_text = _checked_id(segments[1]), segments[3]
        if not _NUMBER.fullmatch(number_text):
            raise BadRequest(f"Invalid URL: part `{number_text}` is not a number")
        number = int(number_text)
        token = _bearer(request)
        await _load_tokens()
        part_tokens.verify(self._access.jwt_secret, token, upload_id, number)
        upload = await self._uploads.find(upload_id)
        if number >= upload.total_parts:
            raise NotFound(f"Part {number} not found for upload {upload_id}")
        return upload, number

    async def _status(
        self, request: web.BaseRequest, segments: list[str], query: str
    ) -> web.StreamResponse:
        upload = await self._upload(request, segments[1])
        include = parse_query(query).get("include_parts", "true")
        if include not in ("true", "false"):
            raise BadRequest("include_parts is neither true nor false")
        parts = await self._uploads.parts(upload.id)
        answer = uploads_api.status_answer(
            upload,
            len(parts),
            parts if include == "true" else None,
            self._uploads.percent(upload),
        )
        return _json(answer)

    async def _complete(
        self, request: web.BaseRequest, segments: list[str], query: str
    ) -> web.StreamResponse:
        upload = await self._uploads.complete((await self._upload(request, segments[1])).id)
        status = 202 if upload.status == "finalizing" else 200
        if upload.status == "failed":
            raise Unprocessable(upload.error or "the upload failed")
        return _json(uploads_api.complete_answer(upload, self._uploads.percent(upload)), status)

    async def _cancel(
        self, request: web.BaseRequest, segments: list[str], query: str
    ) -> web.StreamResponse:
        upload = await self._upload(request, segments[1])
        await self._uploads.cancel(upload.id)
        return _json(uploads_api.cancelled_answer(upload.id))

    async def _tokens(
        self, request: web.BaseRequest, segments: list[str], query: str
    ) -> web.StreamResponse:
        upload = await self._upload(request, segments[1])
        if upload.status not in ("pending", "failed"):
            raise Conflict(f"Upload is already {upload.status}")
        upload = await self._uploads.touch(upload.id)
        here = {part.number for part in await self._uploads.parts(upload.id)}
        missing = [number for number in range(upload.total_parts) if number not in here]
        return _json(uploads_api.tokens_answer(upload, missing, self._mint(upload, missing)))

    async def _list(
        self, request: web.BaseRequest, segments: list[str], query: str
    ) -> web.StreamResponse:
        principal = self._admit(request)
        limit, before = _page(parse_query(query))
        return _json(
            uploads_api.listing_answer(await self._uploads.listing(principal, limit, before))
        )

    async def _content(
        self, request: web.BaseRequest, segments: list[str], query: str
    ) -> web.StreamResponse:
        upload = await self._upload(request, segments[1])
        if request.method == "GET" and (url := await self._uploads.address(upload)) is not None:
            return web.Response(status=307, headers={**_HEADERS, "Location": url})
        async with self._uploads.reading(upload) as channel:
            if request.method == "HEAD":
                return await pipes.look(request, channel, _DIALECT)
            return await pipes.read(self._context, request, channel, _DIALECT)

    async def _health(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed("only GET is supported here", ("GET", "HEAD"))
        trouble = await self._uploads.trouble()
        storage = {
            "backend_type": self._access.storage,
            "status": "healthy" if trouble is None else "unavailable",
            "message": trouble,
        }
        status = "OK" if trouble is None else "DEGRADED"
        return _json({"status": status, "storage": storage}, 200 if trouble is None else 503)

    # -- what they share

    def _mint(self, upload: Upload, numbers: Iterable[int]) -> list[str]:
        parts = plan_of(upload)
        sizes = {number: parts.size_of(number) for number in numbers}
        return part_tokens.mint(self._access.jwt_secret, upload.id, sizes, int(upload.expires))

    async def _small_body(self, request: web.BaseRequest) -> bytes:
        """The whole body of a request that is JSON. Raises `TooLarge`, `Stalled`."""
        check_expectation(request)
        if (request.content_length or 0) > MAX_JSON:
            raise TooLarge(f"the body exceeds the limit of {MAX_JSON} bytes")
        await invite(request)
        body = b""
        async for chunk in PartBody(self._context.pumps, request):
            body += chunk
            if len(body) > MAX_JSON:
                raise TooLarge(f"the body exceeds the limit of {MAX_JSON} bytes")
        return body


def _checked_id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise NotFound("there is no such upload")
    return text


async def _load_tokens() -> None:
    if not part_tokens.loaded():
        await asyncio.to_thread(part_tokens.load)


def _bearer(request: web.BaseRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:  # RFC 9110, 11.1
        raise Unauthorized("Missing or invalid Authorization header")
    return token


def _page(arguments: Mapping[str, str]) -> tuple[int, str | None]:
    """How many uploads, and after which one. Raises `BadRequest`, `NotFound`."""
    limit, before = arguments.get("limit", "100"), arguments.get("before")
    if not _NUMBER.fullmatch(limit) or not 1 <= int(limit) <= MOST_LISTED:
        raise BadRequest(f"limit is not a whole number from 1 to {MOST_LISTED}")
    return int(limit), None if before is None else _checked_id(before)


def _json(value: object, status: int = 200) -> web.Response:
    body = json.dumps(value, ensure_ascii=False).encode()
    return web.Response(status=status, body=body, content_type="application/json", headers=_HEADERS)
