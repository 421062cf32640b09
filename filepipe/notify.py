"""What the service manager is told: sd_notify(3), in our own words and without libsystemd.

Rule 1: telling must never disturb serving, so nothing here raises or waits.
Rule 2: nobody listens (no NOTIFY_SOCKET) is the normal case, and then everything is a no-op.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends the daemon's state to the service manager, if there is one."""

    def __init__(self, address: str | None, watchdog_interval: float | None) -> None:
        # A leading @ stands for the NUL byte of the abstract namespace (unix(7)).
        self._address = "\0" + address[1:] if address and address[0] == "@" else address
        self.watchdog_interval = watchdog_interval if address else None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Notifier:
        """Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; what makes no sense is ignored."""
        address = environ.get("NOTIFY_SOCKET", "")
        known = address[:1] in {"/", "@"}
        return cls(address if known else None, _watchdog_interval(environ))

    def ready(self, status: str) -> None:
        """Say that the daemon serves now, and what on."""
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def stopping(self) -> None:
        """Say that the daemon is going down."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Describe the daemon's state in one line for `systemctl status`."""
        self._send(f"STATUS={_one_line(text)}")

    def watchdog(self) -> None:
        """Say that the event loop still turns; due every `watchdog_interval` seconds."""
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(message.encode(errors="replace"), self._address)
        except (OSError, ValueError):  # ValueError: a NUL inside the address
            return


def _one_line(text: str) -> str:
    # A newline would start another assignment.
    return " ".join(text.split())


def _watchdog_interval(environ: Mapping[str, str]) -> float | None:
    """Half of the manager's patience, in seconds, as sd_watchdog_enabled(3) advises."""
    try:
        limit = int(environ["WATCHDOG_USEC"])
        addressee = int(environ.get("WATCHDOG_PID", os.getpid()))
    except (KeyError, ValueError):
        return None
    return limit / 2_000_000 if limit > 0 and addressee == os.getpid() else None
