"""A small server of the uploads API, in memory, that does wrong what a test asks for."""

import asyncio
import hashlib
import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

CHUNK = 1000


@dataclass
class Held:
    """An upload: its announcement, its parts, and the tokens that are good."""

    wanted: dict[str, Any]
    parts: dict[int, bytes] = field(default_factory=dict)
    tokens: dict[int, str] = field(default_factory=dict)
    status: str = "pending"
    error: str | None = None


class FakeParts:
    """Holds `uploads` by id; each part takes one of `faults`.

    They are a status, or "cut", "lose" (cut when it is stored), "damage", "hang". `endings` are
    what completing is answered with: a status each, else it is done; before 400, part 2 is lost.
    With `stale` the first tokens are good for nothing.
    """

    def __init__(self) -> None:
        self.uploads: dict[str, Held] = {}
        self.faults: deque[object] = deque()
        self.endings: deque[int] = deque()
        self.seen: list[tuple[str, str]] = []
        self.stale = False
        self.together = asyncio.Barrier(1)
        self.url = ""
        self.headers: list[dict[str, str]] = []
        self._minted = 0
        self._hang = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/upload/init", self._init)
        app.router.add_get("/upload", self._list)
        app.router.add_get("/upload/{id}/status", self._status)
        app.router.add_put("/upload/{id}/part/{number}", self._part)
        app.router.add_post("/upload/{id}/tokens", self._tokens)
        app.router.add_post("/upload/{id}/complete", self._complete)
        app.router.add_delete("/upload/{id}", self._delete)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0][:2])

    async def stop(self) -> None:
        self._hang.set()
        assert self._runner is not None
        await self._runner.cleanup()

    def sent(self) -> list[int]:
        """The numbers of the parts that were asked to be taken, in order."""
        return [int(path.rpartition("/")[2]) for method, path in self.seen if method == "PUT"]

    def content(self) -> bytes:
        """The bytes of the only upload."""
        (held,) = self.uploads.values()
        return b"".join(part for _, part in sorted(held.parts.items()))

    def _held(self, request: web.Request) -> Held:
        self._note(request)
        held = self.uploads.get(request.match_info["id"])
        if held is None:
            raise web.HTTPNotFound(text=_error("there is no such upload"), headers=_JSON)
        return held

    def _note(self, request: web.Request) -> None:
        self.seen.append((request.method, request.path_qs))
        self.headers.append(dict(request.headers))

    def _mint(self, held: Held, numbers: list[int]) -> list[dict[str, Any]]:
        self._minted += 1
        held.tokens.update({number: f"{self._minted}-{number}" for number in numbers})
        return [{"part": n, "token": held.tokens[n], "status": "pending"} for n in numbers]

    async def _init(self, request: web.Request) -> web.Response:
        self._note(request)
        held = Held(await request.json())
        upload_id = f"id-{len(self.uploads)}"
        self.uploads[upload_id] = held
        numbers = list(range(-(-held.wanted["total_size"] // CHUNK)))
        tokens = self._mint(held, numbers)
        if self.stale:
            held.tokens.clear()
        answer = {"file_id": upload_id, "chunk_size": CHUNK, "parts": tokens}
        return web.json_response({**answer, "total_parts": len(numbers)})

    async def _list(self, request: web.Request) -> web.Response:
        self._note(request)
        ids = list(self.uploads)
        before = request.query.get("before")
        page = ids[ids.index(before) + 1 :] if before else ids
        shown = [self._told(name, self.uploads[name]) for name in page[:2]]
        return web.json_response({"uploads": shown})

    def _told(self, upload_id: str, held: Held) -> dict[str, Any]:
        total = -(-held.wanted["total_size"] // CHUNK)
        return {
            "file_id": upload_id,
            "filename": held.wanted["filename"].rpartition("/")[2],
            "path": held.wanted["filename"],
            "total_size": held.wanted["total_size"],
            "status": held.status,
            "final_path": held.wanted["filename"] if held.status == "complete" else None,
            "finalization_error": held.error,
            "chunk_size": CHUNK,
            "total_parts": total,
            "uploaded_parts": len(held.parts),
            "expires_at": "2026-01-01T00:00:00Z",
            "parts": [
                {
                    "part": number,
                    "status": "uploaded" if number in held.parts else "pending",
                    "checksum_sha256": _sha(held.parts.get(number)),
                }
                for number in range(total)
            ],
        }

    async def _status(self, request: web.Request) -> web.Response:
        held = self._held(request)
        if held.status == "finalizing":
            held.status = "failed" if held.error else "complete"
        return web.json_response(self._told(request.match_info["id"], held))

    async def _part(self, request: web.Request) -> web.Response:
        held, number = self._held(request), int(request.match_info["number"])
        await self.together.wait()
        if request.headers["Authorization"] != f"Bearer {held.tokens.get(number)}":
            return _refusal(401, "the token has expired")
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, int):
            return _refusal(fault, "as the test wishes")
        body = await request.read()
        if fault == "hang":
            await self._hang.wait()
        if fault == "cut":
            assert request.transport is not None
            request.transport.abort()
        if fault == "damage":
            body = body[::-1]
        held.parts[number] = body
        if fault == "lose":
            assert request.transport is not None
            request.transport.abort()
        answer = {"part_number": number, "status": "uploaded", "checksum_sha256": _sha(body)}
        return web.json_response(answer)

    async def _tokens(self, request: web.Request) -> web.Response:
        held = self._held(request)
        total = -(-held.wanted["total_size"] // CHUNK)
        missing = [number for number in range(total) if number not in held.parts]
        held.tokens.clear()
        return web.json_response({"parts": self._mint(held, missing)})

    async def _complete(self, request: web.Request) -> web.Response:
        held = self._held(request)
        status = self.endings.popleft() if self.endings else 200
        if status == 400:
            del held.parts[2]
        if status >= 300:
            return _refusal(status, "as the test wishes")
        held.status = "complete" if status == 200 else "finalizing"
        return web.json_response(self._told(request.match_info["id"], held), status=status)

    async def _delete(self, request: web.Request) -> web.Response:
        self._held(request)
        del self.uploads[request.match_info["id"]]
        return web.json_response({"status": "cancelled"})


_JSON = {"Content-Type": "application/json"}


def _error(sentence: str) -> str:
    return json.dumps({"error": sentence, "status": 0, "code": "x"})


def _refusal(status: int, sentence: str) -> web.Response:
    return web.Response(
        status=status, text=_error(sentence), headers={**_JSON, "Connection": "close"}
    )


def _sha(body: bytes | None) -> str | None:
    return None if body is None else hashlib.sha256(body).hexdigest()
