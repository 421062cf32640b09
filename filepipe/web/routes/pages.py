"""What `auto` says of itself: help as text or as a page, the version, CORS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from filepipe import __version__
from filepipe.errors import NotFound
from filepipe.web.context import Context
from filepipe.web.routes import browser, status

_HELP = """\
filepipe {version}: PUT on one side, GET on the other, live while it uploads.

  send            curl -T FILE {base}/KEY
  send a stream   COMMAND | curl -T - {base}/KEY
  receive         curl {base}/KEY -o FILE
  go on           curl -C - -o FILE {base}/KEY
  look            curl -I {base}/KEY

A reader may come first: it waits {wait:g} s for its writer, ?wait=5m for longer.
A body is kept {retention:g} s after its end or its last reader; PUT KEY?max-age=10m asks for more.
Reserved: / and the names below - channels files streams upload help version health ready state
metrics noscript favicon.ico robots.txt
"""

_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Vary": "Accept"}

QR: Final = "-/qr"
"""The name below which a picture of a key's URL is."""


def base_url(context: Context, request: web.BaseRequest) -> str:
    """The start of this daemon's URLs as the caller reaches it, without a trailing slash."""
    if context.rules.public_url is not None:
        return context.rules.public_url.rstrip("/")
    scheme = "https" if request.protocol.ssl_context else "http"
    return f"{scheme}://{request.headers.get('Host') or _reached(request)}"


def _reached(request: web.BaseRequest) -> str:
    """Our own end of the connection, for a client that names no host (HTTP/1.0)."""
    name = request.get_extra_info("sockname")
    if not isinstance(name, tuple):
        return "localhost"  # a unix socket
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def options(request: web.BaseRequest, allow: Sequence[str]) -> web.StreamResponse:
    """The methods there are, and leave for a browser's script to use them (CORS preflight)."""
    methods = ", ".join(allow)
    headers = {"Allow": methods, "Access-Control-Allow-Origin": "*"}
    if "Access-Control-Request-Method" in request.headers:
        headers["Access-Control-Allow-Methods"] = methods
        headers["Access-Control-Allow-Headers"] = "*"
        headers["Access-Control-Max-Age"] = "86400"
    return web.Response(status=204, headers=headers)


async def page(
    context: Context, request: web.BaseRequest, name: str, query: str
) -> web.StreamResponse:
    """The page under a reserved name. Raises `NotFound` for what is not built yet."""
    if name == "":
        return await _front_page(context, request)
    if name == "noscript":
        return browser.noscript(context, request, query)
    if name == QR:
        return await browser.qr(base_url(context, request), query)
    text = _texts(context, request).get(name)
    if text is not None:
        return web.Response(text=text, headers=_HEADERS)
    own = status.DAEMON_PATHS.get(f"/{name}")  # below a prefix, where the page asks for them
    if own is None:
        raise NotFound("this name is reserved; nothing is here in this version")
    return await own(context, request)


def _texts(context: Context, request: web.BaseRequest) -> dict[str, str]:
    return {
        "help": _help(context, request),
        "version": f"filepipe {__version__}\n",
        "robots.txt": "User-agent: *\nDisallow: /\n",
    }


async def _front_page(context: Context, request: web.BaseRequest) -> web.StreamResponse:
    accept = request.headers.get("Accept", "")
    if "application/json" in accept:
        return await status.state(context, request)
    if "text/html" in accept:
        return browser.page(context, request)
    return web.Response(text=_help(context, request), headers=_HEADERS)


def _help(context: Context, request: web.BaseRequest) -> str:
    rules = context.rules
    return _HELP.format(
        version=__version__,
        base=base_url(context, request),
        wait=rules.wait,
        retention=rules.retention,
    )
