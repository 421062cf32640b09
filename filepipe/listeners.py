"""Opens what the settings name: addresses, unix sockets, sockets that the service manager holds."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from filepipe.app import BACKLOG, App
from filepipe.config import PROTOCOLS, Listen, Settings
from filepipe.errors import ConfigError
from filepipe.protocols.authority import is_loopback_name
from filepipe.web.connection import ConnectionFactory

TLS_HANDSHAKE_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Listener:
    """An open listener; `addresses` as bound, `open_to` says who can reach it."""

    listen: Listen
    addresses: tuple[str, ...]
    open_to: str
    server: web.Server
    acceptors: tuple[asyncio.AbstractServer, ...]


async def open_all(app: App, inherited: Mapping[str, Sequence[socket.socket]]) -> list[Listener]:
    """Open every listener; if one cannot be opened, none stays open.

    Sockets that were handed over and that no `fd:` names are served as well, by the protocol that
    they are called after; the default address is not opened beside them. Raises `ConfigError`.
    """
    opened: list[Listener] = []
    try:
        for listen, socks in _wanted(app.settings, inherited):
            try:
                opened.append(await _open(app, listen, socks))
            except OSError as error:
                reason = error.strerror or error
                raise ConfigError(f"listen: cannot open {listen.address}: {reason}") from error
    except BaseException:
        close_all(opened)
        raise
    return opened


def close_all(listeners: Sequence[Listener]) -> None:
    """Accept nobody any more; connections that are open stay. A unix socket's name goes too."""
    for listener in listeners:
        for acceptor in listener.acceptors:
            acceptor.close()
        if listener.listen.kind == "unix":
            Path(listener.listen.path).unlink(missing_ok=True)


def _wanted(
    settings: Settings, inherited: Mapping[str, Sequence[socket.socket]]
) -> list[tuple[Listen, Sequence[socket.socket]]]:
    listens = settings.listeners()
    if inherited and settings.source_of("listen") == "default":
        listens = ()
    named = {listen.name for listen in listens if listen.kind == "fd"}
    wanted: list[tuple[Listen, Sequence[socket.socket]]] = []
    for listen in listens:
        if listen.kind == "fd" and listen.name not in inherited:
            raise ConfigError(f"listen: the service manager passed no socket named {listen.name}")
        wanted.append((listen, inherited.get(listen.name, ()) if listen.kind == "fd" else ()))
    for name, socks in inherited.items():
        if name not in named:
            protocol = name if name in PROTOCOLS else settings.protocol
            wanted.append((Listen(kind="fd", name=name, protocol=protocol), socks))
    return wanted


async def _open(app: App, listen: Listen, socks: Sequence[socket.socket]) -> Listener:
    loopback_only = _is_loopback(listen, socks)
    server, factory = app.server(listen, loopback_only=loopback_only)
    tls: dict[str, Any] = {}
    if listen.scheme == "https":
        assert app.certificate is not None  # the settings ask for one
        tls = {
            "ssl": app.certificate.context,
            "ssl_handshake_timeout": TLS_HANDSHAKE_TIMEOUT,
        }
    loop = asyncio.get_running_loop()
    if listen.kind == "unix":
        await asyncio.to_thread(_clear, listen.path)
        acceptors: list[asyncio.AbstractServer] = [
            await loop.create_unix_server(factory, listen.path, backlog=BACKLOG, **tls)
        ]
        addresses: tuple[str, ...] = (listen.address,)
    elif listen.kind == "fd":
        acceptors = [await _adopt(sock, factory, tls) for sock in socks]
        addresses = tuple(_name(sock) for sock in socks)
    else:
        acceptor = await loop.create_server(
            factory, listen.host, listen.port, backlog=BACKLOG, reuse_address=True, **tls
        )
        acceptors = [acceptor]
        for sock in acceptor.sockets:
            _keep_alive(sock)
        addresses = tuple(_name(sock) for sock in acceptor.sockets)
    return Listener(listen, addresses, _audience(listen, loopback_only), server, tuple(acceptors))


async def _adopt(
    sock: socket.socket, factory: ConnectionFactory, tls: Mapping[str, Any]
) -> asyncio.AbstractServer:
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    if sock.family == socket.AF_UNIX:
        return await loop.create_unix_server(factory, sock=sock, backlog=BACKLOG, **tls)
    return await loop.create_server(factory, sock=sock, backlog=BACKLOG, **tls)


def _clear(path: str) -> None:
    """Remove what a dead daemon left at `path`; a living one keeps it. Raises `ConfigError`."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise ConfigError(f"listen: {path} exists and is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise ConfigError(f"listen: somebody listens on {path} already")


def _name(sock: socket.socket) -> str:
    name = sock.getsockname()
    if not isinstance(name, tuple):
        return f"unix:{name}"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_loopback(listen: Listen, socks: Sequence[socket.socket]) -> bool:
    if listen.kind == "tcp":
        return listen.host is not None and is_loopback_name(_bracketed(listen.host))
    names = [sock.getsockname() for sock in socks]
    return bool(names) and all(
        isinstance(name, tuple) and is_loopback_name(_bracketed(name[0])) for name in names
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _keep_alive(sock: socket.socket) -> None:
    """Let the kernel find out, within two minutes, that a silent peer is gone.

    A waiting reader sends nothing for an hour; what it accepts inherits this on Linux.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _audience(listen: Listen, loopback_only: bool) -> str:
    if listen.kind == "unix" or loopback_only:
        return "this machine"
    return "everybody who can reach this address"
