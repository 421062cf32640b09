"""The tokens of upload parts: each lets its bearer store one part of one upload, until it expires.

Rule 1: a token says what it is for and is stored nowhere; who has the secret can mint it again.
Rule 2: HS256 and nothing else, `exp` is required (RFC 7519, 4.1.4; RFC 8725, 3.1).
Rule 3: every refusal is the same sentence, so that a forger learns nothing from it.
"""

from __future__ import annotations

import base64
import functools
import hmac
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from filepipe.errors import Unauthorized

REFUSAL = "the token is not valid for this part, or has expired"

LEEWAY = 60
"""Seconds by which the clocks of two machines may differ."""

_HEADER = base64.urlsafe_b64encode(b'{"typ":"JWT","alg":"HS256"}').rstrip(b"=")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token allows; the size in bytes, the expiry in seconds since 1970."""

    upload_id: str
    part_number: int
    expected_size: int
    expires: int


def mint(secret: bytes, upload_id: str, sizes: Mapping[int, int], expires: int) -> list[str]:
    """One token for each part in `sizes`, which has its size in bytes by its number.

    By hand, since thousands of them differ in two numbers: a library takes several times as long.
    """
    start = f'{{"upload_id":{json.dumps(upload_id)},"part_number":'
    tokens = []
    for number, size in sizes.items():
        payload = f'{start}{number},"expected_size":{size},"exp":{expires}}}'.encode()
        signed = _HEADER + b"." + base64.urlsafe_b64encode(payload).rstrip(b"=")
        signature = base64.urlsafe_b64encode(hmac.digest(secret, signed, "sha256")).rstrip(b"=")
        tokens.append((signed + b"." + signature).decode())
    return tokens


@functools.cache
def load() -> ModuleType:
    """What `verify` works with, which takes a tenth of a second and 20 MB the first time.

    For a thread, when the first token comes: a daemon that takes no parts does without.
    """
    for name in ("errors", "jwk", "jwt"):
        importlib.import_module(f"joserfc.{name}")
    return importlib.import_module("joserfc")


def loaded() -> bool:
    """Whether `load` has been called."""
    return bool(load.cache_info().currsize)


def verify(secret: bytes, token: str, upload_id: str, part_number: int) -> Claims:
    """What the token allows, if it is for this part and its time is not over.

    Raises `Unauthorized`.
    """
    jose = load()
    rules = jose.jwt.JWTClaimsRegistry(leeway=LEEWAY, exp={"essential": True})
    try:
        found = jose.jwt.decode(token, jose.jwk.OctKey.import_key(secret), algorithms=["HS256"])
        rules.validate(found.claims)
    except (jose.errors.JoseError, ValueError, RecursionError):
        raise Unauthorized(REFUSAL) from None
    claims = _claims(found.claims)
    if "crit" in found.header or (claims.upload_id, claims.part_number) != (upload_id, part_number):
        raise Unauthorized(REFUSAL)
    return claims


def _claims(values: Mapping[str, object]) -> Claims:
    match values:
        case {
            "upload_id": str(upload_id),
            "part_number": int(number),
            "expected_size": int(size),
            "exp": int(expires),
        } if not isinstance(number, bool) and not isinstance(size, bool):
            return Claims(upload_id, number, size, expires)
    raise Unauthorized(REFUSAL)
