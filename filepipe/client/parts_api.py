"""The requests of the uploads API, and what their answers say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from yarl import URL

from filepipe.client.connection import our_errors
from filepipe.client.errors import BadAddress, ClientError, Interrupted, Refused
from filepipe.client.line import Line
from filepipe.client.progress import Progress
from filepipe.client.source import Body
from filepipe.client.upload import Upload

# A request without a body worth mentioning; completing waits for the server, 20 s by default.
ANSWER_SECONDS: Final = 120.0
# Below this, asking first costs more than sending for nothing.
_EXPECT_ABOVE: Final = 1024 * 1024
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class UploadInfo:
    """An upload as the server tells of it; `answer` is what it said, word for word.

    `checksums` are those of the stored parts, by number. Fields that a listing lacks are None, and
    `checksums` is empty there.
    """

    id: str
    path: str
    size: int
    status: str
    final_path: str | None
    error: str | None
    chunk_size: int | None
    total_parts: int | None
    uploaded_parts: int | None
    expires_at: str | None
    checksums: Mapping[int, str | None]
    answer: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload that is new: its id, the size of its parts but the last, and their tokens."""

    id: str
    chunk_size: int
    tokens: Mapping[int, str] = field(repr=False)


class PartsApi:
    """Asks a server about uploads, with an API key; every method is one request.

    All raise `Refused` with the server's sentence, `Unreachable` and `Interrupted`.
    """

    def __init__(self, base: URL, line: Line, api_key: str | None) -> None:
        if api_key is not None and not (api_key.isprintable() and api_key.strip()):
            raise BadAddress("the API key is empty, or has characters that no key has")
        self.server = str(base)
        self._line = line
        self._api_key = api_key

    async def begin(self, path: str, size: int, **options: object) -> Begun:
        """Announce a file of `size` bytes; options that are None are left out."""
        wanted = {name: value for name, value in options.items() if value is not None}
        body = json.dumps({"filename": path, "total_size": size, **wanted}).encode()
        answer = await self._ask("POST", "init", body)
        with _as_told():
            return Begun(str(answer["file_id"]), int(answer["chunk_size"]), _tokens(answer))

    async def status(self, upload_id: str) -> UploadInfo:
        """Ask what is there."""
        return upload_info(await self._ask("GET", f"{_segment(upload_id)}/status"))

    async def page(self, before: str | None) -> list[UploadInfo]:
        """Ask for uploads, the newest first, after the one that is given; [] at the end."""
        after = f"&before={_segment(before)}" if before else ""
        answer = await self._ask("GET", f"?limit={_PAGE}{after}")
        with _as_told():
            return [upload_info(item) for item in answer["uploads"]]

    async def tokens(self, upload_id: str) -> dict[int, str]:
        """Have new tokens issued for the parts that are missing."""
        answer = await self._ask("POST", f"{_segment(upload_id)}/tokens")
        with _as_told():
            return _tokens(answer)

    async def complete(self, upload_id: str) -> UploadInfo:
        """Ask to finish it; the status says whether that is done."""
        return upload_info(await self._ask("POST", f"{_segment(upload_id)}/complete"))

    async def remove(self, upload_id: str) -> None:
        """Remove it, and its file if it is complete."""
        await self._ask("DELETE", _segment(upload_id))

    async def send_part(
        self, upload_id: str, number: int, token: str, body: Body, progress: Progress
    ) -> str | None:
        """Send a part; return the SHA-256 of what arrived, as hex, if the server says it."""
        url = self._url(f"{_segment(upload_id)}/part/{number}")
        said = await self._line.upload(
            "PUT",
            url,
            Upload(body, progress),
            headers={"Authorization": f"Bearer {token}"},
            expect=(body.length or 0) > _EXPECT_ABOVE,
        )
        with _as_told():
            checksum = json.loads(said)["checksum_sha256"]
        return checksum if isinstance(checksum, str) else None

    def _url(self, path: str) -> URL:
        glue = "" if path.startswith("?") else "/"
        return URL(f"{self.server}upload{glue}{path}", encoded=True)

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        url = self._url(path)
        headers = {"X-API-Key": self._api_key} if self._api_key is not None else {}
        options = {}
        if body is not None:
            headers["Content-Type"] = "application/json"
            options["data"] = body
        try:
            async with (
                asyncio.timeout(ANSWER_SECONDS),
                self._line.request(
                    method, url, headers=headers, good={200, 202}, **options
                ) as response,
            ):
                with our_errors(url):
                    said = await response.read()
        except TimeoutError:
            raise Interrupted("the server did not answer", 0) from None
        with _as_told():
            return dict(json.loads(said))


def upload_info(answer: Mapping[str, Any]) -> UploadInfo:
    """Read what a server tells of an upload; raises `ClientError`."""
    with _as_told():
        return UploadInfo(
            id=str(answer["file_id"]),
            path=str(answer.get("path") or answer["filename"]),
            size=int(answer["total_size"]),
            status=str(answer["status"]),
            final_path=answer.get("final_path"),
            error=answer.get("finalization_error"),
            chunk_size=answer.get("chunk_size"),
            total_parts=answer.get("total_parts"),
            uploaded_parts=answer.get("uploaded_parts"),
            expires_at=answer.get("expires_at"),
            checksums={
                int(part["part"]): part["checksum_sha256"]
                for part in answer.get("parts") or ()
                if part["status"] == "uploaded"
            },
            answer=answer,
        )


def _tokens(answer: Mapping[str, Any]) -> dict[int, str]:
    return {int(part["part"]): str(part["token"]) for part in answer["parts"]}


def _segment(text: str) -> str:
    if not text or text in {".", ".."}:
        raise BadAddress(f"{text!r} is not the id of an upload")
    return quote(text, safe="")


def gone(why: Refused) -> bool:
    """Whether a refusal says that there is no such upload."""
    return why.status in {404, 410}


@contextmanager
def _as_told() -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ClientError("the server's answer is not that of an uploads API") from None
