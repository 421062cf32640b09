"""A TCP proxy between a daemon and a server of its own, which fails as it is bidden."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable


class Between:
    """Listens on `port` and passes everything on to `target`, a port of this machine.

    Each fault lasts until it is taken back; connections that it has ended stay ended.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.refusing = False
        """New connections are closed at once."""
        self.accepted = 0
        self._flowing = threading.Event()
        self._flowing.set()
        self._left: int | None = None
        self._after: Callable[[], None] | None = None
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    # -- faults

    def stall(self) -> None:
        """Pass nothing on any more, in either direction."""
        self._flowing.clear()

    def flow(self) -> None:
        """Go on."""
        self._flowing.set()

    def cut(self) -> None:
        """Reset every connection."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for sock in pair:
                _reset(sock)

    def cut_after(self, size: int, then: Callable[[], None] | None = None) -> None:
        """Reset every connection once so many bytes more were passed on to the server; `then`."""
        with self._lock:
            self._left, self._after = size, then

    def heal(self) -> None:
        """Take every fault back."""
        with self._lock:
            self._left = self._after = None
        self.refusing = False
        self.flow()

    def close(self) -> None:
        """End everything."""
        self.flow()
        self._server.close()
        self.cut()

    # -- what passes

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            self.accepted += 1
            if self.refusing:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                self._pairs.add((near, far))
            for one, other in ((near, far), (far, near)):
                threading.Thread(
                    target=self._pass, args=(one, other, one is near), daemon=True
                ).start()

    def _pass(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                if up:
                    data, ended = self._counted(data)
                    sink.sendall(data)
                    if ended:
                        self.cut()
                        if self._after is not None:
                            self._after()
                        return
                else:
                    sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _counted(self, data: bytes) -> tuple[bytes, bool]:
        with self._lock:
            if self._left is None:
                return data, False
            data = data[: self._left]
            self._left -= len(data)
            if self._left:
                return data, False
            self._left = None
            return data, True


def _reset(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RD)  # whoever reads from it wakes
    with contextlib.suppress(OSError):
        sock.close()
