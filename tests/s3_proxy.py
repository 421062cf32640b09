"""A proxy before a server of S3, on a thread of its own, that does harm where it is told to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import ClientSession, web
from yarl import URL

Kind = Literal[
    "reset", "lost", "500", "error in 200", "truncated", "slow", "hang", "denied", "unknown"
]

TROUBLE = "<?xml version='1.0'?><Error><Code>{}</Code><Message>trouble</Message></Error>"


@dataclass
class Harm:
    """What happens to the next `times` requests of a method whose URL has `word` in it."""

    kind: Kind
    method: str
    word: str = ""
    times: int = 1

    def hits(self, request: web.BaseRequest) -> bool:
        """Whether it is the turn of this request."""
        return self.times > 0 and self.method == request.method and self.word in request.raw_path


@dataclass
class Proxy:
    """`harms` may be changed at any time; `seen` are the requests so far."""

    target: str
    endpoint: str = ""
    harms: list[Harm] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def harm(self, kind: Kind, method: str, word: str = "", times: int = 1) -> Harm:
        """Do this harm from now on."""
        harm = Harm(kind, method, word, times)
        self.harms.append(harm)
        return harm

    def release(self) -> None:
        """Cut the connections that hang."""
        self.loop.call_soon_threadsafe(self.released.set)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Pass one request on, or not."""
        self.seen.append(f"{request.method} {request.raw_path}")
        harm = next((harm for harm in self.harms if harm.hits(request)), None)
        if harm is None:
            return await self.forward(request, "none")
        harm.times -= 1
        match harm.kind:
            case "reset":
                return abort(request)
            case "hang":
                await self.released.wait()
                return abort(request)
            case "slow":
                await asyncio.sleep(0.5)
            case "500":
                return web.Response(status=500, text=TROUBLE.format("InternalError"))
            case "denied":
                return web.Response(status=403, text=TROUBLE.format("AccessDenied"))
            case "unknown":
                return web.Response(status=501, text=TROUBLE.format("NotImplemented"))
            case "error in 200":
                async for _ in request.content.iter_any():
                    pass
                return web.Response(status=200, text=TROUBLE.format("InternalError"))
        return await self.forward(request, harm.kind)

    async def forward(self, request: web.BaseRequest, kind: str) -> web.StreamResponse:
        """Ask the server, and answer as it does, or less than that."""
        url = self.target + request.raw_path
        headers = {name: value for name, value in request.headers.items() if name != "Expect"}
        data = _body(request) if request.can_read_body else None

        async with (
            ClientSession(auto_decompress=False) as http,
            http.request(
                request.method, URL(url, encoded=True), headers=headers, data=data,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            ) as answer,
        ):  # fmt: skip
            body = await answer.read()
            if kind == "lost":
                return abort(request)
            response = web.StreamResponse(status=answer.status)
            for name, value in answer.headers.items():
                if name not in ("Transfer-Encoding", "Date", "Server"):
                    response.headers[name] = value
            if request.method != "HEAD":
                response.headers["Content-Length"] = str(len(body))
            await response.prepare(request)
            if request.method != "HEAD":
                await response.write(body[: len(body) // 2] if kind == "truncated" else body)
            return abort(request) if kind == "truncated" else response


async def _body(request: web.BaseRequest) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_any():
        yield chunk


def abort(request: web.BaseRequest) -> web.StreamResponse:
    """Cut the connection."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@contextmanager
def proxied(target: str) -> Iterator[Proxy]:
    """Run a proxy before the server at `target`."""
    proxy = Proxy(target)
    loop = proxy.loop
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def serve() -> asyncio.Server:
        server = web.Server(proxy.handle, handler_cancellation=True)
        listening = await loop.create_server(server, "127.0.0.1", 0)
        proxy.endpoint = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        return listening

    async def stop(listening: asyncio.Server) -> None:
        listening.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    listening = asyncio.run_coroutine_threadsafe(serve(), loop).result()
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(stop(listening), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
