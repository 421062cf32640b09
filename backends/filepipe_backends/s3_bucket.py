"""One bucket: the requests that are made of it, and their errors in our words.

Control goes through aiobotocore. The bodies of parts do not: they are streams, which it would want
to read twice. Each goes to a URL that is signed here, over a connection of our own.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from os import environ
from typing import Any, NamedTuple
from weakref import WeakSet

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import AddrInfoType, ClientSession, ClientTimeout, TCPConnector
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
from botocore.exceptions import ConnectionError as BotoConnectionError

from filepipe.errors import NotFound, StorageFailed, Unavailable
from filepipe_backends.s3_notes import Part
from filepipe_backends.s3_sending import AWAY, LOST, STALL, Sending, failure

MARK = "filepipe-upload"
"""The metadata of an object that says which upload made it."""

CONNECTIONS = 64
"""Requests that may be under way at the same time, and as many parts."""

ATTEMPTS = 3

LINK_LIFE = 3600
"""Seconds for which a signed URL is good."""

_UNKNOWN = frozenset({"NotImplemented", "MethodNotAllowed", "InvalidArgument"})


class Place(NamedTuple):
    """Where a bucket is, and how it is spoken to; what is None is found as Amazon's tools do."""

    bucket: str
    region: str
    endpoint: str | None
    addressing: str
    checksums: str
    account: str | None
    secret: str | None


class Stored(NamedTuple):
    """What is known of an object; `owner` is the upload that made it."""

    size: int
    etag: str
    owner: str | None


class Taken(Exception):
    """There is an object of that name."""


class Bucket:
    """Makes requests; the first one opens the connections."""

    def __init__(self, place: Place) -> None:
        self.name = place.bucket
        self._place = place
        self._session = _session()
        self._opening = asyncio.Lock()
        self._life = contextlib.AsyncExitStack()
        self._client: Any = None
        self._http: ClientSession | None = None
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._conditional = True

    async def _opened(self) -> Any:
        async with self._opening:
            if self._client is None:
                self._http = self._http or await self._life.enter_async_context(self._connections())
                creating = self._session.create_client("s3", **_options(self._place))
                with _translated():
                    self._client = await self._life.enter_async_context(creating)
        return self._client

    async def aclose(self) -> None:
        """Close the connections."""
        await self._life.aclose()
        for made in self._sockets:  # one that was given up may still have bytes that nobody takes
            with contextlib.suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
        for _ in range(3):  # turns until the last of them is closed
            await asyncio.sleep(0)

    def _connections(self) -> ClientSession:
        timeout = ClientTimeout(total=None, sock_connect=10.0)
        trusted = ssl.create_default_context(cafile=environ.get("AWS_CA_BUNDLE") or None)
        connector = TCPConnector(limit=CONNECTIONS, socket_factory=self._impatient, ssl=trusted)
        # proxies, and what is not to go through them, are those of Amazon's tools
        return ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False, trust_env=True
        )

    def _impatient(self, address: AddrInfoType) -> socket.socket:
        """A socket that the kernel closes when its last bytes are not taken: nobody waits then."""
        made = socket.socket(*address[:3])
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux only
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALL * 1000))
        made.setblocking(False)
        self._sockets.add(made)
        return made

    async def _call(self, operation: str, **arguments: Any) -> Any:
        client = await self._opened()
        with _translated():
            return await getattr(client, operation)(Bucket=self.name, **arguments)

    # -- objects

    async def look(self, key: str) -> Stored | None:
        """What there is under the key."""
        client = await self._opened()
        try:
            with _translated():
                try:
                    found = await client.head_object(Bucket=self.name, Key=key)
                except ClientError as error:
                    if _code(error) in ("404", "NoSuchKey", "NotFound"):
                        return None
                    raise
        except NotFound:
            return None
        return Stored(found["ContentLength"], found["ETag"], found["Metadata"].get(MARK))

    async def get(self, key: str, start: int, etag: str) -> Any:
        """The body of the object from `start` on, as long as it is the one that has this ETag."""
        answer = await self._call("get_object", Key=key, Range=f"bytes={start}-", IfMatch=etag)
        return answer["Body"]

    async def put_empty(self, key: str, owner: str, *, free: bool) -> None:
        """Make an object without a byte; with `free` only where there is none, else `Taken`."""
        await self._conditionally(
            "put_object", free=free, Key=key, Body=b"", Metadata={MARK: owner}
        )

    async def remove(self, key: str) -> None:
        """Remove the object, if there is one."""
        await self._call("delete_object", Key=key)

    async def copy(self, source: str, key: str, owner: str, *, free: bool) -> None:
        """Copy an object of at most 5 GiB at the server; `free` as for `put_empty`."""
        await self._conditionally(
            "copy_object",
            free=free,
            Key=key,
            CopySource={"Bucket": self.name, "Key": source},
            MetadataDirective="REPLACE",
            Metadata={MARK: owner},
        )

    async def check(self) -> None:
        """Raise where the bucket is not there or not for us."""
        await self._call("list_objects_v2", MaxKeys=1)

    async def link(self, key: str, disposition: str) -> str:
        """A URL at which whoever has it can read the object for a while."""
        client = await self._opened()
        arguments = {
            "Bucket": self.name, "Key": key, "ResponseContentDisposition": disposition,
        }  # fmt: skip
        with _translated():
            url = await client.generate_presigned_url("get_object", arguments, ExpiresIn=LINK_LIFE)
        return str(url)

    # -- uploads in parts

    async def begin(self, key: str, owner: str) -> str:
        """Begin an upload in parts; its id."""
        answer = await self._call("create_multipart_upload", Key=key, Metadata={MARK: owner})
        return str(answer["UploadId"])

    async def begun(self, key: str) -> list[str]:
        """The ids of uploads to this key that are neither completed nor aborted."""
        answer = await self._call("list_multipart_uploads", Prefix=key)
        return [item["UploadId"] for item in answer.get("Uploads", ()) if item["Key"] == key]

    async def abort(self, key: str, upload: str) -> None:
        """Forget an upload and its parts; one that is gone is fine."""
        client = await self._opened()
        with _translated():
            try:
                await client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload)
            except ClientError as error:
                if _code(error) not in ("NoSuchUpload", "404"):
                    raise

    async def copy_part(
        self, source: str, span: tuple[int, int], key: str, upload: str, number: int
    ) -> Part:
        """Make a part of the bytes from `span[0]` up to before `span[1]` of an object."""
        answer = await self._call(
            "upload_part_copy",
            Key=key,
            UploadId=upload,
            PartNumber=number,
            CopySource={"Bucket": self.name, "Key": source},
            CopySourceRange=f"bytes={span[0]}-{span[1] - 1}",
        )
        return Part(number, span[1] - span[0], answer["CopyPartResult"]["ETag"])

    async def complete(self, key: str, upload: str, parts: Iterable[Part], *, free: bool) -> None:
        """Make the object of its parts; `free` as for `put_empty`."""
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        await self._conditionally(
            "complete_multipart_upload",
            free=free,
            Key=key,
            UploadId=upload,
            MultipartUpload={"Parts": listed},
        )

    async def put_part(
        self, key: str, upload: str, number: int, size: int, body: AsyncIterator[bytes]
    ) -> Part:
        """Store a part of `size` bytes as they come; what `body` raises is passed on."""
        client = await self._opened()
        arguments = {"Bucket": self.name, "Key": key, "UploadId": upload, "PartNumber": number}
        with _translated():
            url = await client.generate_presigned_url("upload_part", arguments, ExpiresIn=LINK_LIFE)
        assert self._http is not None
        return Part(number, size, await Sending(self._http, url, size).send(body))

    async def _conditionally(self, operation: str, *, free: bool, **arguments: Any) -> None:
        """Call it only where there is no such object, if the server knows how; raises `Taken`."""
        client = await self._opened()
        with _translated():
            if free and self._conditional:
                try:
                    await getattr(client, operation)(Bucket=self.name, IfNoneMatch="*", **arguments)
                except ClientError as error:
                    if _code(error) in ("PreconditionFailed", "412", "ConditionalRequestConflict"):
                        raise Taken from error
                    if _code(error) not in _UNKNOWN:
                        raise
                    self._conditional = False
                else:
                    return
            await getattr(client, operation)(Bucket=self.name, **arguments)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise failure(_code(error), status) from error
    except (HTTPClientError, BotoConnectionError, *LOST) as error:
        raise Unavailable(AWAY) from error
    except NoCredentialsError as error:
        raise StorageFailed("the storage failed: there is no account for it") from error
    except (BotoCoreError, ValueError) as error:  # the latter for odd names of hosts and regions
        raise StorageFailed("the storage failed: it was not understood") from error


@functools.cache
def _session() -> Any:
    """What knows the protocol; that is read before serving, since it takes its time."""
    session = get_session()
    loader = session.get_component("data_loader")
    for name in ("service-2", "endpoint-rule-set-1", "paginators-1"):
        loader.load_service_model("s3", name)
    return session


def _options(place: Place) -> dict[str, Any]:
    addressing = place.addressing
    if addressing == "auto":
        addressing = "path" if place.endpoint else "virtual"
    config = AioConfig(
        signature_version="s3v4",
        s3={"addressing_style": addressing},
        request_checksum_calculation=place.checksums,
        response_checksum_validation=place.checksums,
        max_pool_connections=CONNECTIONS,
        connect_timeout=10,
        read_timeout=STALL,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    return {
        "region_name": place.region,
        "endpoint_url": place.endpoint,
        "aws_access_key_id": place.account,
        "aws_secret_access_key": place.secret,
        # that of the environment goes with the account of the environment only
        "aws_session_token": environ.get("AWS_SESSION_TOKEN")
        if place.account is not None and place.account == environ.get("AWS_ACCESS_KEY_ID")
        else None,
        "config": config,
    }
