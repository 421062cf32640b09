"""One chain for every line: ours, and what libraries say through `logging`."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from filepipe.logs.limiter import KIND, LogLimiter
from filepipe.logs.outlet import Outlet
from filepipe.logs.render import ConsoleRenderer, prepare, render_json, timestamp

Schedule = Callable[[Callable[[], None]], object]
"""Calls what it is given, soon and on the same thread."""

_MOST_PENDING = 512


def configure(level: str = "info", fmt: str = "auto", stream: TextIO | None = None) -> None:
    """Log from `level` on as `fmt` (auto, console, json) to `stream`, by default stderr.

    May be called again: the loggers that exist follow.
    """
    stream = stream or sys.stderr  # which is None where we were started with stderr closed
    global _stream  # noqa: PLW0603 - there is one log in a process
    renderer = _renderer(fmt, stream)
    _stream = _Stream(stream, renderer)
    sink = cast(BinaryIO, _stream)
    chain: list[Processor] = [LogLimiter(), prepare, renderer]
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=functools.cache(lambda name="": structlog.BytesLogger(sink, name=name)),
        cache_logger_on_first_use=False,
    )
    _bridge(level)
    plain = renderer is render_json and level in ("debug", "info")
    global _json_sink  # noqa: PLW0603 - there is one log in a process
    _json_sink = _stream.write if plain else None


def json_sink() -> Callable[[bytes], None] | None:
    """Where a line of level info goes, if lines are JSON and info is logged; else None."""
    return _json_sink


def get_logger(name: str) -> FilteringBoundLogger:
    """Make a logger whose lines say where they come from; it may be made before `configure`."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


@contextlib.contextmanager
def gathered(schedule: Schedule) -> Iterator[None]:
    """Write this thread's lines together whenever `schedule` says so; all are out on leaving.

    A system call for each line would cost more than a small transfer.
    """
    stream = _stream
    if stream is None:
        yield
        return
    stream.gather(schedule)
    try:
        yield
    finally:
        stream.gather(None)


def _renderer(fmt: str, stream: TextIO | None) -> Processor:
    terminal = stream is not None and stream.isatty()
    if fmt == "json" or (fmt == "auto" and not terminal):
        return render_json
    return ConsoleRenderer(
        getattr(stream, "encoding", None) or "utf-8",
        journal=_is_journal(stream),
        colours=terminal and not os.environ.get("NO_COLOR"),
    )


def _is_journal(stream: TextIO | None) -> bool:
    """Whether the journal reads the stream; the variable alone may be inherited (sd-daemon(3))."""
    try:
        status = os.fstat(stream.fileno() if stream else -1)
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class _Stream:
    """The bytes below a text stream. A log that cannot be written must not stop a transfer.

    Only the thread that gathers touches what is pending; the lines of others go straight out.
    """

    def __init__(self, stream: TextIO | None, render: Processor) -> None:
        self._render = render
        self._stream = stream  # which closes its buffer when nobody knows it any more
        self._buffer: Any = getattr(stream, "buffer", None)
        self._outlet = _outlet_of(stream)
        self._pending: list[bytes] = []
        self._schedule: Schedule | None = None
        self._thread = 0

    def write(self, line: bytes) -> None:
        if self._schedule is None or self._thread != threading.get_ident():
            self._put(line)
            return
        self._pending.append(line)
        if len(self._pending) == 1:
            self._schedule(self.write_out)
        elif len(self._pending) >= _MOST_PENDING:
            self.write_out()

    def flush(self) -> None:
        """Nothing: each line is on its way when it is written."""

    def write_out(self) -> None:
        lines, self._pending = self._pending, []
        if lines:
            self._put(b"".join(lines))

    def _put(self, lines: bytes) -> None:
        # No room, no reader, closed; or it was never open.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if self._outlet is None:
                self._buffer.write(lines)
                self._buffer.flush()
            elif not self._buffer.closed and (dropped := self._outlet.write(lines)):
                self._outlet.write(self._told(dropped))

    def _told(self, dropped: int) -> bytes:
        # by hand: a logger does not write while it writes
        event = {
            "timestamp": timestamp(),
            "level": "warning",
            "event": "log lines dropped",
            "logger": "filepipe.logs",
            "lines": dropped,
        }
        return cast(bytes, self._render(None, "warning", event)) + b"\n"

    def gather(self, schedule: Schedule | None) -> None:
        self.write_out()
        self._schedule = schedule
        self._thread = threading.get_ident()


def _outlet_of(stream: TextIO | None) -> Outlet | None:
    """The way out where a reader that does not read would block us."""
    try:
        fd = stream.fileno() if stream else -1
        mode = os.fstat(fd).st_mode
    except (OSError, ValueError):
        return None
    return Outlet(fd) if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


_stream: _Stream | None = None
_json_sink: Callable[[bytes], None] | None = None


class _Bridge(logging.Handler):
    """Hands records of the standard library to the chain."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            text = str(record.msg)
        fields: dict[str, object] = {KIND: str(record.msg)}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        # structlog knows the five levels only, libraries may have made up others between them.
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        get_logger(record.name).log(level, text, **fields)


def _bridge(level: str) -> None:
    root = logging.getLogger()
    for handler in [item for item in root.handlers if isinstance(item, _Bridge)]:
        root.removeHandler(handler)
    root.addHandler(_Bridge())
    root.setLevel(level.upper())
    # it warns of whatever subprotocol a client names
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
