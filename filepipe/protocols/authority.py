"""The Host header: well formed, and on a loopback listener nobody else's.

A page on the web can make a browser ask a daemon on loopback by pointing its own name there (DNS
rebinding); its name in Host gives it away.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

from filepipe.errors import BadRequest, Misdirected

# host [ ":" port ] of RFC 3986, section 3.2; a reg-name covers the IPv4 addresses.
_HOST = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}){1,255})"
    r"(?::(?P<port>[0-9]{0,5}))?",
)
_LOCALHOST = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*localhost", re.IGNORECASE)
_LOOPBACK_4 = re.compile(r"127(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}")
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_LOOPBACK_6: Final = ipaddress.IPv6Address("::1")
_MAX_PORT: Final = 65535


def check_host(host: str | None, version_1_1: bool, loopback_only: bool) -> None:
    """Raise `BadRequest` for a Host that is missing or malformed, `Misdirected` for another's."""
    if host is None:
        if version_1_1:
            raise BadRequest("Host header is missing")
        return
    _check(host, loopback_only)


@lru_cache(maxsize=256)  # a daemon is called by few names; what is refused is not kept
def _check(host: str, loopback_only: bool) -> None:
    found = _HOST.fullmatch(host)
    if found is None or int(found["port"] or 0) > _MAX_PORT or not _is_address(found["host"]):
        raise BadRequest("Host header is malformed")
    if loopback_only and not is_loopback_name(found["host"]):
        raise Misdirected("this listener answers to loopback names only")


def is_foreign_name(host: str) -> bool:
    """Whether a well-formed Host is a name that somebody may point anywhere, here too.

    An address is none, nor is localhost; a port does not matter.
    """
    found = _HOST.fullmatch(host)
    if found is None:
        return True
    name = found["host"]
    return not (name.startswith("[") or _IPV4.fullmatch(name) or is_loopback_name(name))


def _is_address(host: str) -> bool:
    """Whether a host in brackets holds an IPv6 address; other hosts need not be one."""
    if not host.startswith("["):
        return True
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True


def is_loopback_name(host: str) -> bool:
    """Whether a host (without port, IPv6 in brackets or not) can only mean this machine."""
    if _LOCALHOST.fullmatch(host) or _LOOPBACK_4.fullmatch(host):
        return True
    try:
        return ipaddress.IPv6Address(host.removeprefix("[").removesuffix("]")) == _LOOPBACK_6
    except ValueError:
        return False
