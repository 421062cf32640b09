"""A line to a server that a test cuts: with a FIN, with a RST, or without a word."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Coroutine
from typing import Any, Literal, Self

How = Literal["fin", "rst", "silent"]


class CutProxy:
    """Passes bytes on to `target`; `url` leads there through it. Use it as a context manager.

    What was cut without a word stays dead for ever, and so does what was begun meanwhile.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition("//")[2].partition("/")[0].rpartition(":")
        self._target = (host, int(port))
        self._lines: list[_Line] = []
        self._cut: How | None = None
        self._plans: list[tuple[str, int, How, float]] = []
        self.passed = {"up": 0, "down": 0}
        self.cuts = self.accepted = 0
        self._heal: asyncio.TimerHandle | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._heal is not None:
            self._heal.cancel()
        self._server.close()
        for line in self._lines:
            line.end(hard=True)
            await asyncio.gather(line.task, *line.closed(), return_exceptions=True)

    def plan(self, way: str, count: int, how: How, seconds: float) -> None:
        """Cut once `count` bytes have gone "up" or "down", for so long; plans come in order.

        An "answer" is cut off before its first byte, on a line that has had so many go up.
        """
        self._plans.append((way, count, how, seconds))

    def cut(self, how: How, seconds: float) -> None:
        """Cut every line, and let nobody through for so many seconds."""
        self._cut = how
        self.cuts += 1
        for line in self._lines:
            if how != "silent":
                line.end(hard=how == "rst")
            line.dead = True
        self._heal = asyncio.get_running_loop().call_later(seconds, self.mend)

    def mend(self) -> None:
        """Let new lines through."""
        self._cut = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.accepted += 1
        line = _Line(task, writer)
        self._lines.append(line)
        if self._cut is not None:
            line.dead = True
            if self._cut != "silent":
                line.end(hard=self._cut == "rst")
            return
        with contextlib.suppress(OSError):
            upstream, line.up = await asyncio.open_connection(*self._target)
            await asyncio.gather(
                self._pass("up", reader, line.up, line),
                self._pass("down", upstream, writer, line),
            )

    async def _pass(
        self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: "_Line"
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(32 * 1024):
                if way == "down" and self._due("answer", line.sent):
                    self._follow_plan()
                if line.dead:
                    return
                line.sent += len(data) if way == "up" else 0
                writer.write(data)
                await writer.drain()
                self.passed[way] += len(data)
                if self._due(way, self.passed[way]):
                    self._follow_plan()
            if not line.dead:
                writer.write_eof()

    def _due(self, way: str, count: int) -> bool:
        return bool(self._plans) and self._plans[0][0] == way and count >= self._plans[0][1]

    def _follow_plan(self) -> None:
        _, _, how, seconds = self._plans.pop(0)
        self.cut(how, seconds)


class _Line:
    """One connection through the proxy, with its two ends."""

    def __init__(self, task: asyncio.Task[None], down: asyncio.StreamWriter) -> None:
        self.task = task
        self.down = down
        self.up: asyncio.StreamWriter | None = None
        self.dead = False
        self.sent = 0

    def closed(self) -> list[Coroutine[Any, Any, None]]:
        """What waits until both ends are closed."""
        return [writer.wait_closed() for writer in (self.down, self.up) if writer is not None]

    def end(self, *, hard: bool) -> None:
        """Close both ends, `hard` with a RST."""
        for writer in (self.down, self.up):
            if writer is None:
                continue
            if hard:
                raw = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()
