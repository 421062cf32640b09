"""Who may make and manage uploads: whoever has the API key."""

from __future__ import annotations

import hmac

from aiohttp import web

from filepipe.errors import Unauthorized

PRINCIPAL = "api"
"""Whom the API key stands for, until there are several."""


def given_key(request: web.BaseRequest) -> str | None:
    """The key in `X-API-Key`, or else what stands as a bearer token; clients know one of them."""
    key = request.headers.get("X-API-Key")
    if key is not None:
        return key
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip(" ") if scheme.lower() == "bearer" else None


def admit(given: str | None, api_key: bytes) -> str:
    """The principal of a key that was given. Raises `Unauthorized`."""
    if given is None:
        raise Unauthorized("Missing API key")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), api_key):
        raise Unauthorized("Invalid API key")
    return PRINCIPAL
