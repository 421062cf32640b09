"""What `auto` says of itself: help as text or as a page, the version, CORS."""

from __future__ import annotations

import html
from collections.abc import Sequence

from aiohttp import web

from filepipe import __version__
from filepipe.errors import NotFound
from filepipe.web.context import Context
from filepipe.web.routes import status

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

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>filepipe</title>
<h1>filepipe</h1>
<pre>{help}</pre>
</html>
"""

_PAGE_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


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


def page(context: Context, request: web.BaseRequest, name: str) -> web.StreamResponse:
    """The page under a reserved name. Raises `NotFound` for what is not built yet."""
    headers = {"X-Content-Type-Options": "nosniff", "Vary": "Accept"}
    if name == "":
        return _front_page(context, request, headers)
    if name in ("help", "noscript"):
        return web.Response(text=_help(context, request), headers=headers)
    if name == "version":
        return web.Response(text=f"filepipe {__version__}\n", headers=headers)
    if name == "robots.txt":
        return web.Response(text="User-agent: *\nDisallow: /\n", headers=headers)
    raise NotFound("this name is reserved; nothing is here in this version")


def _front_page(
    context: Context, request: web.BaseRequest, headers: dict[str, str]
) -> web.StreamResponse:
    accept = request.headers.get("Accept", "")
    if "application/json" in accept:
        return status.state(context, request)
    text = _help(context, request)
    if "text/html" not in accept:
        return web.Response(text=text, headers=headers)
    headers["Content-Security-Policy"] = _PAGE_POLICY
    return web.Response(
        text=_PAGE.format(help=html.escape(text)), content_type="text/html", headers=headers
    )


def _help(context: Context, request: web.BaseRequest) -> str:
    rules = context.rules
    return _HELP.format(
        version=__version__,
        base=base_url(context, request),
        wait=rules.wait,
        retention=rules.retention,
    )
