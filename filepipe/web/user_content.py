"""The headers that keep what strangers upload from acting in a reader's browser."""

from __future__ import annotations

from typing import Final

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
    "Accept-Ranges": "bytes",
    "Cache-Control": "no-store",
    "Access-Control-Allow-Origin": "*",
    "X-Accel-Buffering": "no",
}
