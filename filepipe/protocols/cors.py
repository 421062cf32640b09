"""What a script in a browser may send to resumable uploads, and see of their answers (CORS).

One list for tus and for the IETF's resumable uploads: both are at one URL, and a browser asks
before it says which of them it means.
"""

from __future__ import annotations

from typing import Final

_METHODS: Final = ("POST", "PUT", "HEAD", "PATCH", "OPTIONS", "GET", "DELETE")
_SENT: Final = (
    "Authorization",
    "X-API-Key",
    "Content-Type",
    "Content-Disposition",
    "Content-Encoding",
    "X-Requested-With",
    "X-Request-ID",
    "X-HTTP-Method-Override",
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Offset",
    "Upload-Metadata",
    "Upload-Defer-Length",
    "Upload-Concat",
    "Upload-Checksum",
    "Upload-Complete",
    "Upload-Incomplete",
    "Upload-Draft-Interop-Version",
    "Content-Digest",
    "Repr-Digest",
    "Want-Repr-Digest",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Range",
)
_SEEN: Final = (
    "Location",
    "Upload-Offset",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Defer-Length",
    "Upload-Concat",
    "Upload-Expires",
    "Upload-Complete",
    "Upload-Incomplete",
    "Upload-Limit",
    "Upload-Draft-Interop-Version",
    "Tus-Version",
    "Tus-Resumable",
    "Tus-Max-Size",
    "Tus-Extension",
    "Tus-Checksum-Algorithm",
    "Repr-Digest",
    "ETag",
    "Retry-After",
    "X-Error-Code",
    "X-Request-Id",
)

RESUMABLE: Final = {
    "Access-Control-Allow-Origin": "*",
    # by name: the star leaves out Authorization, and old browsers take it for a name
    "Access-Control-Expose-Headers": ", ".join(_SEEN),
}
"""Of every answer."""

PREFLIGHT: Final = {
    **RESUMABLE,
    "Access-Control-Allow-Methods": ", ".join(_METHODS),
    "Access-Control-Allow-Headers": ", ".join(_SENT),
    "Access-Control-Max-Age": "86400",
}
"""Of the answer to OPTIONS."""
