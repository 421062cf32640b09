"""What the daemon says of its own health; the same on every listener."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from filepipe import prometheus
from filepipe.protocols.authority import is_foreign_name
from filepipe.shutdown import Phase
from filepipe.web.context import Context
from filepipe.web.fields import tells_of_proxy


async def health(context: Context, request: web.BaseRequest) -> web.StreamResponse:
    """The process answers: 200, also while it drains."""
    budgets = context.service.accountant
    storage = {
        name: {"used": budget.used, "limit": budget.limit}
        for name, budget in (("memory", budgets.memory), ("disk", budgets.disk))
    }
    return web.json_response({"status": "OK", "storage": storage}, headers=_HEADERS)


async def ready(context: Context, request: web.BaseRequest) -> web.StreamResponse:
    """Whether new transfers are taken: 200, or 503 from the first signal on."""
    phase = context.shutdown.phase
    if phase is Phase.RUNNING:
        return web.json_response({"status": "ready"}, headers=_HEADERS)
    headers = {**_HEADERS, "Retry-After": "5"}
    return web.json_response({"status": phase.value}, status=503, headers=headers)


async def state(context: Context, request: web.BaseRequest) -> web.StreamResponse:
    """Counts for everybody, the keys for whom they are meant; live for who accepts events.

    Raises what `Dashboard.watch` raises.
    """
    local = is_local(request)
    if request.method == "GET" and "text/event-stream" in request.headers.get("Accept", ""):
        return await context.dashboard.watch(request, local=local)
    answer = context.dashboard.picture(local=local, whole=local)
    return web.json_response(answer, headers={**_HEADERS, "Vary": "Accept"})


async def metrics(context: Context, request: web.BaseRequest) -> web.StreamResponse:
    """Everything that is counted, for Prometheus."""
    text = prometheus.render(context.service, draining=context.shutdown.phase is not Phase.RUNNING)
    return web.Response(body=text, headers={**_HEADERS, "Content-Type": prometheus.CONTENT_TYPE})


_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Server": "filepipe",
}

Page = Callable[[Context, web.BaseRequest], Awaitable[web.StreamResponse]]

DAEMON_PATHS: Final[dict[str, Page]] = {
    "/health": health,
    "/ready": ready,
    "/state": state,
    "/metrics": metrics,
}


def is_local(request: web.BaseRequest) -> bool:
    """Whether the caller is on this machine, and nobody else speaks through it.

    A proxy says so; a browser that a page of the web has led here names that page's host.
    """
    headers = request.headers
    if tells_of_proxy(headers):
        return False
    peer = request.protocol.peername
    if not isinstance(peer, tuple):
        return True  # a unix socket
    if is_foreign_name(headers.get("Host", "localhost")):
        return False
    try:
        address = ipaddress.ip_address(peer[0].partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
