"""Sockets that the service manager opened for us: sd_listen_fds(3), in our own words.

The manager keeps them open while the daemon restarts, so no connection is refused meanwhile, and a
port below 1024 needs no privilege of ours. A descriptor's name (`FileDescriptorName=`) is chosen by
the administrator; for filepipe it is the protocol that the socket speaks.

launchd hands sockets over by a function of its own library (`launch_activate_socket`), not by the
environment. That is not supported: under launchd the daemon opens its own sockets.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from itertools import chain

from filepipe.errors import ConfigError

FIRST = 3  # SD_LISTEN_FDS_START: the manager numbers them after stdin, stdout and stderr
UNNAMED = "unknown"  # what systemd itself calls a descriptor without a name


def inherited_sockets(
    environ: MutableMapping[str, str] = os.environ,
) -> dict[str, list[socket.socket]]:
    """Take over the listening sockets passed by LISTEN_FDS, by name; the caller owns them.

    They are taken once: the variables are removed, so that a second call, or a child, finds none.
    Raises `ConfigError` when a descriptor is no listening stream socket.
    """
    count = environ.pop("LISTEN_FDS", "")
    addressee = environ.pop("LISTEN_PID", "")
    names = environ.pop("LISTEN_FDNAMES", "")
    if not count or addressee != str(os.getpid()):
        return {}
    if not (count.isascii() and count.isdigit() and len(count) <= 6):
        raise ConfigError(f"LISTEN_FDS is {count!r}, which is not a number of descriptors.")
    taken: dict[str, list[socket.socket]] = {}
    try:
        for number, name in enumerate(_names(names, int(count)), FIRST):
            taken.setdefault(name, []).append(_listening_socket(number, name))
    except ConfigError:
        for sock in chain.from_iterable(taken.values()):
            sock.close()
        raise
    return taken


def _names(text: str, count: int) -> list[str]:
    if not text:
        return [UNNAMED] * count
    names = text.split(":")
    if len(names) != count:
        raise ConfigError(f"LISTEN_FDNAMES has {len(names)} names for {count} descriptors.")
    return [name or UNNAMED for name in names]


def _listening_socket(number: int, name: str) -> socket.socket:
    try:
        sock = socket.socket(fileno=number)
    except OSError as error:
        raise ConfigError(
            f"Inherited descriptor {number} ({name}) is no socket: {error.strerror}."
        ) from error
    if sock.type != socket.SOCK_STREAM or not _listens(sock):
        sock.close()
        raise ConfigError(f"Inherited descriptor {number} ({name}) is no listening stream socket.")
    sock.set_inheritable(False)
    sock.setblocking(False)
    return sock


def _listens(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
