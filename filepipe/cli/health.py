"""`filepipe health`: one question to the daemon, for containers and monitors."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import Parameter

from filepipe.cli.main import ConfigFile, fail
from filepipe.errors import ConfigError

TIMEOUT = 5.0
# What an address to listen on means for somebody who calls from the same machine.
_LOCAL = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._path)


def health(
    *,
    url: Annotated[
        str | None, Parameter(help="The daemon, if it is not the one of these settings.")
    ] = None,
    config: ConfigFile = None,
) -> int:
    """Ask the daemon whether it is well: exit status 0 if so, 1 if not.

    It asks at the first address that the settings listen on.
    """
    connection, where = _named(url) if url else _local(config)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        body = answer.read(65536)
    except (OSError, http.client.HTTPException) as error:
        fail(f"{where} does not answer: {error or type(error).__name__}")
    finally:
        connection.close()
    if answer.status != 200:
        fail(f"{where} is not well: {answer.status} {answer.reason}")
    print(body.decode("utf-8", "backslashreplace").strip())
    return 0


def _named(url: str) -> tuple[http.client.HTTPConnection, str]:
    from filepipe.config.values import base_url

    try:
        parts = urlsplit(base_url(url) or "")
    except ValueError as error:
        raise ConfigError(f"url: {error}") from None
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT), url
    return http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT), url


def _local(config: ConfigFile) -> tuple[http.client.HTTPConnection, str]:
    from filepipe.config import load_settings

    listeners = load_settings(config=config).listeners()
    listener = next((item for item in listeners if item.kind != "fd"), None)
    if listener is None:
        raise ConfigError("listen: only the service manager knows the address, name it by --url")
    if listener.kind == "unix":
        return _UnixConnection(listener.path), listener.address
    host = _LOCAL.get(listener.host, listener.host or "")
    if listener.scheme == "https":
        # Its certificate is made for another name than the one by which we reach ourselves.
        unchecked = ssl._create_unverified_context()  # noqa: S323
        return http.client.HTTPSConnection(
            host, listener.port, timeout=TIMEOUT, context=unchecked
        ), listener.address
    return http.client.HTTPConnection(host, listener.port, timeout=TIMEOUT), listener.address
