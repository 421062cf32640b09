"""The headers that keep what strangers upload from acting in a reader's browser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from filepipe.errors import Forbidden

# stored scripts run nowhere: no sniffing, an opaque origin, nothing loaded, nothing embedded
SANDBOX_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}

DATA_HEADERS: Final = {
    **SANDBOX_HEADERS,
    "Server": "filepipe",
    "Cache-Control": "no-store",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "*",
    "X-Accel-Buffering": "no",
}


def refuse_service_worker(headers: Mapping[str, str]) -> None:
    """Raise `Forbidden` for a browser that would install what it gets between itself and us.

    A sandbox does not stop that: the script of a service worker is no document.
    """
    if "Service-Worker" in headers:
        raise Forbidden("nothing that is stored here may become a service worker")
