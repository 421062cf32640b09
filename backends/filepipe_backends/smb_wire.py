"""smbprotocol's connection with what a daemon needs besides.

That is a limit on every wait, and a session that takes the place of the one before.
"""

from __future__ import annotations

import logging
import uuid
from typing import Any

from smbprotocol.connection import Connection
from smbprotocol.session import SMB2SessionSetupRequest

from filepipe_backends.smb_transport import CONNECT, SILENCE, Transport

for _name in ("smbprotocol", "spnego"):
    # they tell accounts and paths, and each lost connection with a traceback; we say what matters
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


class Requests(dict[int, Any]):
    """The requests under way: looked through by one thread while others add to it."""

    def values(self) -> Any:
        """Those of this moment."""
        return list(super().values())


class Wire(Connection):  # type: ignore[misc]  # the library has no types
    """A connection to `host`; its session ends the session `previous` of ours, with its files."""

    def __init__(self, host: str, port: int, previous: int) -> None:
        self._transport: Transport | None = None
        self._previous = previous
        super().__init__(uuid.uuid4(), host, port, require_signing=True)
        self.outstanding_requests = Requests()
        self._receive_timeout = SILENCE

    @property
    def transport(self) -> Transport | None:
        """Ours, whatever the library makes."""
        return self._transport

    @transport.setter
    def transport(self, made: object) -> None:
        if made is not None:
            self._transport = Transport(self.server_name, self.port)

    def send(self, message: Any, *args: Any, **kwargs: Any) -> Any:
        """Send a message as the library does."""
        if self._previous and isinstance(message, SMB2SessionSetupRequest):
            message["previous_session_id"] = self._previous
        return super().send(message, *args, **kwargs)

    def receive(
        self,
        request: Any,
        wait: bool = True,
        timeout: float | None = None,
        resolve_symlinks: bool = True,
    ) -> Any:
        """Wait for an answer; never for ever, and no link is followed."""
        del resolve_symlinks
        limit = CONNECT if timeout is None else timeout
        return super().receive(request, wait, limit, resolve_symlinks=False)

    @property
    def alive(self) -> bool:
        """Whether something can be sent."""
        return self._transport is not None and self._transport.connected

    @property
    def credits(self) -> int:
        """How many the server has given and nobody uses."""
        return int(self.sequence_window["high"] - self.sequence_window["low"])

    def cut(self) -> None:
        """Let nothing more be sent or received."""
        if self._transport is not None:
            self._transport.close()

    def end(self) -> None:
        """Close it without a word, and give the descriptor back."""
        if self._transport is not None:
            self.disconnect(close=False)  # waits for the thread that receives
            self._transport.release()
