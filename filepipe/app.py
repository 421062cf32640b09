"""Puts the parts together: settings in, one handler for each listener out. Nothing is global."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import resource
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from filepipe.certificate import Certificate
from filepipe.channels.offset_uploads import OffsetUploads
from filepipe.channels.upload_plan import UploadRules
from filepipe.channels.uploads import Uploads
from filepipe.config import Listen, Settings
from filepipe.credentials import Credentials
from filepipe.log_service import open_logs
from filepipe.protocols.forwarding import WEBHOOKS, ForwardRules
from filepipe.relay.plane import Plane
from filepipe.service import Service, Spilling, watch_loop_lag
from filepipe.shutdown import Shutdown
from filepipe.upload_places import upload_places
from filepipe.upload_service import UploadEngines, open_uploads
from filepipe.web.auto import Auto, Front, dialect_of
from filepipe.web.connection import (
    Census,
    ConnectionFactory,
    ConnectionLimits,
    aiohttp_factory,
    capped,
)
from filepipe.web.context import Context, PipeRules
from filepipe.web.dashboard import Dashboard
from filepipe.web.departures import Departures
from filepipe.web.direct import Direct
from filepipe.web.doorman import Counter, Doorman
from filepipe.web.entry import Entry
from filepipe.web.forward import Forwarder
from filepipe.web.live import Handover
from filepipe.web.pumps import PumpLimits, Pumps
from filepipe.web.routes.beam import Beam
from filepipe.web.routes.file_pipe import FilePipe
from filepipe.web.routes.files import Files
from filepipe.web.routes.httpfstream import Httpfstream
from filepipe.web.routes.httpipe import Httpipe
from filepipe.web.routes.piping import Piping
from filepipe.web.routes.resumable import ResumableUploads
from filepipe.web.routes.resumable_turn import ResumableRules
from filepipe.web.routes.streams import Streams
from filepipe.web.routes.tus import Tus
from filepipe.web.routes.uploads import UploadsFront
from filepipe.web.small import SmallTransfers
from filepipe.web.small_messages import HttpipeCounter
from filepipe.web.upload_access import UploadAccess
from filepipe.webhooks import Webhooks

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
    certificate: Certificate | None
    fronts: dict[str, Front]
    context: Context
    webhooks: Webhooks
    parts: Uploads

    def drain(self) -> None:
        """Take nothing new, begin nothing new."""
        self.service.drain()
        self.webhooks.drain()

    async def cut(self) -> None:
        """End every transfer that still runs; whose answer has begun sees the connection break."""
        # before the kernel lets go of them: who uploads is told why
        await self.context.offsets.cut()
        await self.parts.cut()
        await self.plane.aclose()
        self.service.cut()
        await self.service.directory.aclose()
        await asyncio.sleep(0)  # whose answer has not begun is told before it is dismissed
        self.census.dismiss()

    def server(
        self, listen: Listen, *, loopback_only: bool
    ) -> tuple[web.Server, ConnectionFactory]:
        """What answers the requests of one listener, and what meets its connections."""
        entry = Entry(self.context, self.fronts[listen.protocol], loopback_only=loopback_only)
        server = web.Server(entry, handler_cancellation=True)
        settings = self.settings
        limits = ConnectionLimits(
            settings.head_timeout,
            settings.keepalive_timeout,
            settings.max_connections or most_connections(),
        )
        hire = aiohttp_factory(server, limits, self.census, **connection_options(settings))
        counter = self._counter(listen, loopback_only=loopback_only)
        if counter is None:
            return server, capped(hire, limits, self.census)
        meet = functools.partial(Doorman, counter, hire, limits, self.census)
        return server, capped(meet, limits, self.census)

    def _counter(self, listen: Listen, *, loopback_only: bool) -> Counter | None:
        """Who serves what is small and plain, in the protocols that have that."""
        if listen.protocol == "httpipe":
            return HttpipeCounter(self.context, loopback_only=loopback_only)
        if listen.protocol != "auto":
            return None
        dialect = dialect_of(self.context.rules)
        return SmallTransfers(self.context, dialect, listen.scheme, loopback_only=loopback_only)


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
async def make_app(settings: Settings, credentials: Credentials) -> AsyncIterator[App]:
    """Build everything; on leaving, everything is cut and closed. Raises `ConfigError`."""
    certificate = _certificate(settings)
    service = _service(settings)
    plane = Plane(enabled=settings.relay)
    departures = Departures()
    census = Census()
    async with contextlib.AsyncExitStack() as life:
        life.callback(departures.close)
        life.push_async_callback(service.aclose)
        life.push_async_callback(plane.aclose)
        folder = settings.data_dir / "filepipe" / "logs"
        root = settings.httpfstream_root
        await life.enter_async_context(open_logs(service.logs, folder, root))
        ended = asyncio.Event()
        engines = await life.enter_async_context(_uploads(settings, service, ended))
        access = _access(settings, credentials)
        webhooks = Webhooks(
            engines.parts.database,
            access.webhooks,
            credentials.webhook_secret,
            service.statistics,
            ended,
        )
        await life.enter_async_context(webhooks.running())
        shutdown = Shutdown(lambda: service.busy() + webhooks.busy(), settings.drain_timeout)
        context = _context(settings, service, plane, departures, shutdown, engines.offsets)
        fronts = _fronts(settings, context, UploadsFront(context, engines.parts, access), access)
        chores = [watch_loop_lag(service.statistics), census.supervise()]
        if certificate:
            chores.append(certificate.watch())
        for chore in chores:
            life.callback(asyncio.create_task(chore).cancel)
        yield App(
            settings,
            service,
            plane,
            shutdown,
            census,
            certificate,
            fronts,
            context,
            webhooks,
            engines.parts,
        )


def _service(settings: Settings) -> Service:
    spilling = Spilling(
        storage_url(settings), settings.spill_threshold, settings.max_memory, settings.max_disk
    )
    return Service(spilling, settings.max_keys)


def _fronts(
    settings: Settings, context: Context, uploads: UploadsFront, access: UploadAccess
) -> dict[str, Front]:
    """Each protocol's front, by its name."""
    resumable = ResumableUploads(context, context.offsets, _resumable_rules(settings))
    tus = Tus(context, access, settings.max_upload_size)
    mounted: dict[str, Front] = {
        "file-pipe": FilePipe(context),
        "piping": Piping(context),
        "beam": Beam(context),
        "httpipe": Httpipe(context),
        "httpfstream": Httpfstream(context),
        "streams": Streams(context),
        "uploads": uploads,
        "files": Files(context, access, tus, resumable),
    }
    return {**mounted, "auto": Auto(context, mounted, resumable)}


def _resumable_rules(settings: Settings) -> ResumableRules:
    return ResumableRules(
        settings.max_upload_size,
        settings.max_body_size,
        settings.upload_ttl_hours * 3600.0,
        settings.storage_backend,
        settings.interim_answers,
    )


def _context(
    settings: Settings,
    service: Service,
    plane: Plane,
    departures: Departures,
    shutdown: Shutdown,
    offsets: OffsetUploads,
) -> Context:
    limits = PumpLimits(
        settings.idle_timeout,
        settings.stall_timeout,
        settings.download_stall,
        settings.max_body_size,
    )
    pumps = Pumps(plane, service.statistics, limits)
    direct = Direct(plane, pumps, settings.idle_timeout, settings.stall_timeout)
    return Context(
        service,
        pumps,
        Handover(pumps, direct, departures, service.windows, settings.stall_timeout),
        direct,
        Forwarder(ForwardRules.parse(settings.forward_allow), settings.forward_stall),
        shutdown,
        Dashboard(service, shutdown, pumps, plane, settings.dashboard),
        PipeRules(
            settings.wait,
            settings.max_wait,
            settings.retention,
            settings.resume_window,
            settings.max_retention,
            settings.allow_delete,
            settings.public_url,
            settings.spill_threshold,
            settings.max_receivers,
            settings.piping_wait,
            settings.request_timeout,
            settings.heartbeat,
            settings.log_ttl,
            min(settings.max_message_size, settings.max_body_size or settings.max_message_size),
        ),
        offsets,
    )


def _uploads(
    settings: Settings, service: Service, ended: asyncio.Event
) -> contextlib.AbstractAsyncContextManager[UploadEngines]:
    rules = UploadRules(
        settings.upload_ttl_hours * 3600.0,
        settings.complete_wait,
        settings.max_upload_size,
        settings.max_uploads,
        settings.max_finalizing,
    )
    return open_uploads(
        upload_places(settings),
        service.accountant.disk,
        rules,
        lambda upload: ended.set(),
        service.uploads,
        service.directory,
    )


def _access(settings: Settings, credentials: Credentials) -> UploadAccess:
    return UploadAccess(
        credentials.api_key,
        credentials.jwt_secret,
        settings.chunk_size_mb * 1024 * 1024,
        settings.chunk_sizes == "balanced",
        settings.upload_names == "unique",
        settings.storage_backend,
        frozenset({settings.storage_backend, *settings.allowed_backends}),
        ForwardRules.parse(settings.webhook_allow, WEBHOOKS),
    )


def _certificate(settings: Settings) -> Certificate | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Certificate(settings.tls_cert, settings.tls_key)


def storage_url(settings: Settings) -> str:
    """The storage of spilled bytes; without a location, a folder of our own in `data_dir`."""
    scheme, _, location = settings.storage.partition(":")
    if scheme == "file" and not location:
        return f"file:{settings.data_dir / 'filepipe' / 'spill'}"
    return settings.storage
