"""A proxy on the way to a daemon that cuts every connection when so many bytes have gone up."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

_RESET = b"\1\0\0\0\0\0\0\0"
"""SO_LINGER with no time to linger: closing is a reset."""


class Cutter:
    """`cuts` are numbers of bytes from all clients together; after the last one nothing is cut."""

    def __init__(self, target: tuple[str, int], *cuts: int) -> None:
        self.cut = 0
        """How often it was."""
        self.sent = 0
        """Bytes that have gone up."""
        self._target = target
        self._cuts = list(cuts)
        self._lock = threading.Lock()
        self._lines: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    @property
    def url(self) -> str:
        """Where it is."""
        return "http://{}:{}".format(*self._listener.getsockname())

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            with self._lock:
                self._lines.append((client, server))
            self._start(self._up, client, server)
            self._start(self._down, server, client)

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                with self._lock:
                    room = self._cuts[0] - self.sent if self._cuts else len(data)
                    data = data[: max(0, room)]
                    self.sent += len(data)
                    due = bool(self._cuts) and self.sent >= self._cuts[0]
                server.sendall(data)
                if due:
                    self._cut_all()
                    return
            server.shutdown(socket.SHUT_WR)

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError), server:
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)

    def _cut_all(self) -> None:
        """Reset the clients; the daemon gets all that was sent, and then an end."""
        with self._lock:
            self.cut += 1
            del self._cuts[:1]
            for client, server in self._lines:
                _reset(client)
                with contextlib.suppress(OSError):
                    server.shutdown(socket.SHUT_WR)
            self._lines.clear()

    def close(self) -> None:
        """End everything."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for client, server in self._lines:
                _reset(client)
                _reset(server)
        for thread in self._threads:
            thread.join(10)


def _reset(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        sock.shutdown(socket.SHUT_RD)  # who waits for it is woken
    sock.close()


@contextlib.contextmanager
def cutting(target: tuple[str, int], *cuts: int) -> Iterator[Cutter]:
    """A proxy that is closed at the end."""
    cutter = Cutter(target, *cuts)
    try:
        yield cutter
    finally:
        cutter.close()
