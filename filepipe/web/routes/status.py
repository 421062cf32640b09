"""What the daemon says of its own health; the same on every listener."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from filepipe import __version__, prometheus
from filepipe.channels.channel import Channel
from filepipe.shutdown import Phase
from filepipe.web.context import Context


def health(context: Context, request: web.BaseRequest) -> web.StreamResponse:
    """The process answers: 200, also while it drains."""
    budgets = context.service.accountant
    storage = {
        name: {"used": budget.used, "limit": budget.limit}
        for name, budget in (("memory", budgets.memory), ("disk", budgets.disk))
    }
    return web.json_response({"status": "OK", "storage": storage}, headers=_HEADERS)


def ready(context: Context, request: web.BaseRequest) -> web.StreamResponse:
    """Whether new transfers are taken: 200, or 503 from the first signal on."""
    phase = context.shutdown.phase
    if phase is Phase.RUNNING:
        return web.json_response({"status": "ready"}, headers=_HEADERS)
    headers = {**_HEADERS, "Retry-After": "5"}
    return web.json_response({"status": phase.value}, status=503, headers=headers)


def state(context: Context, request: web.BaseRequest) -> web.StreamResponse:
    """Counts for everybody; the keys themselves only for a caller on this machine."""
    service = context.service
    statistics = service.statistics
    answer: dict[str, Any] = {
        "version": __version__,
        "phase": context.shutdown.phase.value,
        "uptime": round(time.time() - statistics.started, 3),
        "channels": dict(service.kinds()),
        "waiting_readers": service.directory.waiting,
        "memory": {
            "used": service.accountant.memory.used,
            "limit": service.accountant.memory.limit,
        },
        "disk": {"used": service.accountant.disk.used, "limit": service.accountant.disk.limit},
        "bytes_in": statistics.bytes_in,
        "bytes_out": statistics.bytes_out,
    }
    if is_local(request):
        answer["keys"] = [_describe(channel) for channel in service.directory]
    return web.json_response(answer, headers=_HEADERS)


def metrics(context: Context, request: web.BaseRequest) -> web.StreamResponse:
    """Everything that is counted, for Prometheus."""
    text = prometheus.render(context.service, draining=context.shutdown.phase is not Phase.RUNNING)
    return web.Response(body=text, headers={**_HEADERS, "Content-Type": prometheus.CONTENT_TYPE})


_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Server": "filepipe",
}

DAEMON_PATHS: Final[dict[str, Callable[[Context, web.BaseRequest], web.StreamResponse]]] = {
    "/health": health,
    "/ready": ready,
    "/state": state,
    "/metrics": metrics,
}


def is_local(request: web.BaseRequest) -> bool:
    """Whether the caller is on this machine, and no proxy speaks for somebody else."""
    headers = request.headers
    if any(name.lower().startswith("x-forwarded-") for name in headers):
        return False
    if "Forwarded" in headers or "Via" in headers:
        return False
    peer = request.protocol.peername
    if not isinstance(peer, tuple):
        return True  # a unix socket
    try:
        address = ipaddress.ip_address(peer[0].partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _describe(channel: Channel) -> dict[str, Any]:
    return {
        "key": channel.key,
        "kind": channel.kind.value,
        "state": channel.state.value,
        "size": channel.size,
        "length": channel.length,
        "readers": channel.readers,
        "age": round(time.monotonic() - channel.created, 3),
    }
