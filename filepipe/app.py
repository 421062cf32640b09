"""Puts the parts together: settings in, one handler for each listener out. Nothing is global."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from filepipe.config import Listen, Settings
from filepipe.protocols.forwarding import ForwardRules
from filepipe.relay.plane import Plane
from filepipe.service import Service, Spilling, watch_loop_lag
from filepipe.shutdown import Shutdown
from filepipe.web.auto import Auto, Front
from filepipe.web.connection import (
    Census,
    ConnectionFactory,
    ConnectionLimits,
    connection_factory,
)
from filepipe.web.context import Context, PipeRules
from filepipe.web.entry import Entry
from filepipe.web.forward import Forwarder
from filepipe.web.pumps import PumpLimits, Pumps
from filepipe.web.routes.file_pipe import FilePipe

BACKLOG = 128
READ_BUFFER = 64 * 1024


@dataclass(slots=True)
class App:
    """The running parts of the daemon."""

    settings: Settings
    service: Service
    plane: Plane
    shutdown: Shutdown
    census: Census
    fronts: dict[str, Front]
    context: Context

    async def cut(self) -> None:
        """End every transfer that still runs; its peers see a connection that broke."""
        await self.plane.aclose()
        await self.service.directory.aclose()

    def server(self, listen: Listen, *, loopback_only: bool) -> web.Server:
        """What answers the requests of one listener."""
        entry = Entry(self.context, self.fronts[listen.protocol], loopback_only=loopback_only)
        return web.Server(entry, handler_cancellation=True)

    def connections(self, server: web.Server) -> ConnectionFactory:
        """The protocol factory for `loop.create_server`."""
        settings = self.settings
        most = settings.max_connections or most_connections()
        return connection_factory(
            server,
            ConnectionLimits(settings.head_timeout, most),
            self.census,
            **connection_options(settings),
        )


def connection_options(settings: Settings) -> dict[str, object]:
    """The options of every aiohttp connection, in production and in tests."""
    return {
        "auto_decompress": False,
        "read_bufsize": READ_BUFFER,
        "lingering_time": 1,  # with Connection: close; at 0 a reset would eat the refusal
        "keepalive_timeout": settings.keepalive_timeout,
        "access_log": None,  # `filepipe.web.entry` writes ours
        "max_line_size": 8190,
        "max_field_size": 8190,
        "max_headers": 128,
    }


def most_connections() -> int:
    """How many connections the limit of open files allows.

    A whole backlog is accepted before the cap is looked at, twice over; files and relays need
    descriptors as well.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft - min(256 + 2 * BACKLOG, soft // 2)


@contextlib.asynccontextmanager
async def make_app(settings: Settings) -> AsyncIterator[App]:
    """Build everything; on leaving, everything is cut and closed. Raises `ConfigError`."""
    forward_rules = ForwardRules.parse(settings.forward_allow)
    spilling = Spilling(
        storage_url(settings), settings.spill_threshold, settings.max_memory, settings.max_disk
    )
    service = Service(spilling, settings.max_keys)
    plane = Plane(enabled=settings.relay)
    shutdown = Shutdown(service.directory.busy, settings.drain_timeout)
    limits = PumpLimits(
        settings.idle_timeout,
        settings.stall_timeout,
        settings.download_stall,
        settings.max_body_size,
    )
    context = Context(
        service,
        Pumps(plane, service.statistics, limits),
        Forwarder(forward_rules, settings.forward_stall),
        shutdown,
        PipeRules(
            settings.wait,
            settings.max_wait,
            settings.retention,
            settings.max_retention,
            settings.allow_delete,
            settings.public_url,
        ),
    )
    mounted: dict[str, Front] = {"file-pipe": FilePipe(context)}
    fronts: dict[str, Front] = {**mounted, "auto": Auto(context, mounted)}
    lag = asyncio.create_task(watch_loop_lag(service.statistics))
    try:
        yield App(settings, service, plane, shutdown, Census(), fronts, context)
    finally:
        lag.cancel()
        await plane.aclose()
        await service.aclose()


def storage_url(settings: Settings) -> str:
    """The storage of spilled bytes; without a location, a folder of our own in `data_dir`."""
    scheme, _, location = settings.storage.partition(":")
    return f"{scheme}:{location or settings.data_dir / 'filepipe' / 'spill'}"
