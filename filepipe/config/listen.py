"""The address of a listener: `[SCHEME://](HOST|[IPv6]|)(:PORT)|unix:PATH|fd:NAME[=PROTOCOL]`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal

PROTOCOLS: Final = (
    "auto", "file-pipe", "piping", "beam", "httpipe", "httpfstream", "uploads", "files",
    "streams",
)  # fmt: skip
DEFAULT_PORT: Final = 3000

# sun_path holds 108 bytes on Linux and 104 on macOS, the last of them a zero.
_UNIX_PATH_BYTES = 103
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_TCP = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>[^:]*))?")
_FD_NAME = re.compile(r"[A-Za-z0-9._@-]{1,255}")
_SCHEME = re.compile(r"(https?)://")

Scheme = Literal["http", "https"]
Kind = Literal["tcp", "unix", "fd"]


@dataclass(frozen=True, slots=True)
class Listen:
    """One listener: where it listens and which protocol it speaks.

    `host` and `port` belong to the kind tcp (host None: every interface), `path` to unix, and
    `name`, the name of a descriptor that the service manager hands over, to fd.
    """

    scheme: Scheme = "http"
    kind: Kind = "tcp"
    host: str | None = None
    port: int = 0
    path: str = ""
    name: str = ""
    protocol: str = "auto"

    @classmethod
    def parse(
        cls, text: str, default_protocol: str = "auto", tcp_scheme: Scheme = "http"
    ) -> Listen:
        """Read an address; `default_protocol` is spoken where the text names none.

        `tcp_scheme` is for a HOST:PORT without a scheme; other kinds are http then. A descriptor
        named like a protocol speaks it. Raises ValueError with one sentence.
        """
        if not text or not text.isprintable():
            raise ValueError(f"{text!r} is not an address such as 0.0.0.0:3000")
        where, separator, protocol = text.rpartition("=")
        if not separator:
            where, protocol = text, ""
        if separator and protocol not in PROTOCOLS:
            raise ValueError(f"{text!r} names a protocol that is none of {', '.join(PROTOCOLS)}")
        prefix = _SCHEME.match(where)
        scheme: Scheme = "https" if prefix and prefix[1] == "https" else "http"
        where = where[prefix.end() :] if prefix else where
        protocol = protocol or default_protocol
        if where.startswith("unix:"):
            return cls(scheme, "unix", path=_unix_path(where[5:], text), protocol=protocol)
        if where.startswith("fd:"):
            name = _descriptor_name(where[3:], text)
            named = not separator and name in PROTOCOLS
            return cls(scheme, "fd", name=name, protocol=name if named else protocol)
        host, port = _tcp(where, text)
        return cls(scheme if prefix else tcp_scheme, "tcp", host, port, protocol=protocol)

    def __str__(self) -> str:
        """Write what `parse` reads back to an equal address, whatever the defaults."""
        return f"{self.scheme}://{self.address}={self.protocol}"

    @property
    def address(self) -> str:
        """The address alone: `127.0.0.1:3000`, `[::1]:3000`, `:3000`, `unix:PATH` or `fd:NAME`."""
        if self.kind == "unix":
            return f"unix:{self.path}"
        if self.kind == "fd":
            return f"fd:{self.name}"
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def _unix_path(path: str, text: str) -> str:
    if not path or path.endswith("/"):
        raise ValueError(f"{text!r} names no socket file")
    if len(path.encode()) > _UNIX_PATH_BYTES:
        raise ValueError(f"{text!r} has a path of more than {_UNIX_PATH_BYTES} bytes")
    return path


def _descriptor_name(name: str, text: str) -> str:
    if not _FD_NAME.fullmatch(name):
        raise ValueError(f"{text!r} names no descriptor, write fd:NAME")
    return name


def _tcp(where: str, text: str) -> tuple[str | None, int]:
    match = _TCP.fullmatch(where)
    if not match:
        raise ValueError(f"{text!r} is not an address (an IPv6 address needs brackets: [::1]:3000)")
    host, port = match["host"], match["port"]
    if host.isdigit() and port is None:
        raise ValueError(f"{text!r} is not an address, write :{host} for a port")
    return _host(host, text), DEFAULT_PORT if port is None else parse_port(port)


def _host(host: str, text: str) -> str | None:
    if not host:
        return None
    if host.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise ValueError(f"{text!r} has no IPv6 address in its brackets") from None
    # A name whose last label is a number could only be an IPv4 address.
    if host.rpartition(".")[2].isdigit():
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise ValueError(f"{text!r} has no valid IPv4 address") from None
    if not _HOST.fullmatch(host):
        raise ValueError(f"{text!r} has no valid host name")
    return host


def parse_port(text: str) -> int:
    """Read a port number, 0 for any free one; raises ValueError with one sentence."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise ValueError(f"{text!r} is not a port, which is a number up to 65535")
    return int(text)
