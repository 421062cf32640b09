"""A small origin that speaks filepipe's HTTP and does wrong what a test asks for."""

import asyncio
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Object:
    """What a key holds; `sized` False hides the length, as while an upload of a pipe grows."""

    body: bytes
    etag: str | None = '"one"'
    sized: bool = True
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """What happens to one GET or POST: the body is cut, or something else is answered."""

    cut: int | None = None
    status: int | None = None
    becomes: Object | None = None
    ignore_range: bool = False
    ignore_condition: bool = False
    shift: int = 0
    hang: bool = False
    late: bool = False


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


class FakeOrigin:
    """Serves `objects`; each GET or POST takes one of `faults`; `refuse` answers every PUT.

    A POST of whom a fault gives a status is answered so before its body, a `late` one after it.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.faults: deque[Fault] = deque()
        self.seen: list[Seen] = []
        self.refuse: int | None = None
        self.silent_put = False
        self.url = ""
        self._hang = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{key:.*}", self._handle, expect_handler=self._expect)
        self._runner = web.AppRunner(
            app, auto_decompress=False, shutdown_timeout=0.1, access_log=None
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0][:2])

    async def stop(self) -> None:
        self._hang.set()
        assert self._runner is not None
        await self._runner.cleanup()

    def requests(self, method: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.method == method]

    def _note(self, request: web.Request) -> Seen:
        seen = Seen(request.method, request.raw_path, dict(request.headers))
        self.seen.append(seen)
        return seen

    async def _expect(self, request: web.Request) -> web.StreamResponse | None:
        if self.refuse is not None:
            self._note(request)
            return web.Response(
                status=self.refuse, text="the key is in use\n", headers={"Connection": "close"}
            )
        if request.method == "POST" and self.faults and not self.faults[0].late:
            self._note(request)
            return _failure(self.faults.popleft())
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # aiohttp counts these bytes as the head of the answer.
        request.writer.output_size = 0
        return None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        return await getattr(self, f"_{request.method.lower()}")(request, self._note(request))

    async def _put(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        if self.refuse is not None:
            return web.Response(status=self.refuse, text="the key is in use\n")
        seen.body = await request.read()
        key = request.match_info["key"]
        self.objects[key] = Object(seen.body)
        text = "" if self.silent_put else f"{self.url}{request.rel_url.raw_path}?t=1\n"
        return web.Response(text=text)

    async def _post(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        seen.body = await request.read()
        if self.faults:
            return _failure(self.faults.popleft())
        return web.Response(text="delivered to 1 receiver\n")

    async def _delete(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        if self.objects.pop(request.match_info["key"], None) is None:
            return web.Response(status=404, text="nothing is there\n")
        return web.Response(status=204)

    async def _head(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        held = self.objects.get(request.match_info["key"])
        if held is None:
            return web.Response(status=404)
        response = web.StreamResponse(headers=_headers(held))
        if held.sized:
            response.content_length = len(held.body)
        else:
            response.headers["Upload-Offset"] = str(len(held.body))
        return response

    async def _get(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        key = request.match_info["key"]
        fault = self.faults.popleft() if self.faults else Fault()
        if fault.hang:
            await self._hang.wait()
        if fault.becomes is not None:
            self.objects[key] = fault.becomes
        if fault.status is not None:
            return web.Response(status=fault.status, text="as the test wishes\n")
        if key not in self.objects:
            return web.Response(status=404, text="nothing is there\n")
        return await self._send(request, self.objects[key], fault)

    async def _send(self, request: web.Request, held: Object, fault: Fault) -> web.StreamResponse:
        start = 0 if fault.ignore_range else _start(request, held, fault.ignore_condition)
        total = str(len(held.body)) if held.sized else "*"
        if start and start >= len(held.body):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{total}"})
        response = web.StreamResponse(status=206 if start else 200, headers=_headers(held))
        if start:
            last = len(held.body) - 1 if held.sized else 9007199254740991
            response.headers["Content-Range"] = f"bytes {start + fault.shift}-{last}/{total}"
        rest = held.body[start:]
        if held.sized:
            response.content_length = len(rest)
        await response.prepare(request)
        await response.write(rest if fault.cut is None else rest[: fault.cut])
        if fault.cut is not None:
            assert request.transport is not None
            request.transport.close()
        return response


def _failure(fault: Fault) -> web.Response:
    assert fault.status is not None
    return web.Response(
        status=fault.status, text="as the test wishes\n", headers={"Connection": "close"}
    )


def _headers(held: Object) -> dict[str, str]:
    return {**held.headers, **({} if held.etag is None else {"ETag": held.etag})}


def _start(request: web.Request, held: Object, unconditional: bool) -> int:
    wanted = request.headers.get("Range")
    if wanted is None:
        return 0
    if not unconditional and request.headers.get("If-Range", held.etag) != held.etag:
        return 0
    return int(wanted.removeprefix("bytes=").removesuffix("-"))


class OriginThread:
    """The same origin beside a test that has no event loop, or beside a subprocess."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self.origin: FakeOrigin

    def __enter__(self) -> FakeOrigin:
        self._thread.start()

        async def start() -> FakeOrigin:
            origin = FakeOrigin()
            await origin.start()
            return origin

        self.origin = self._wait(start())
        return self.origin

    def __exit__(self, *_: object) -> None:
        self._wait(self.origin.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)
