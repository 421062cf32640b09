"""The way out: connections of ours to addresses that somebody else has named.

The address of every single connect is checked, whatever a name resolved to before.
"""

from __future__ import annotations

import socket
from typing import Any

import aiohttp

from filepipe.protocols.forwarding import ForwardRules


class Gate:
    """Makes the sockets of one request to `host`."""

    def __init__(self, rules: ForwardRules) -> None:
        self._rules = rules
        self.host = ""
        self._verdicts: set[bool] = set()

    @property
    def shut(self) -> bool:
        """Whether no address was allowed of those that were tried."""
        return self._verdicts == {False}

    def socket(self, address: Any) -> socket.socket:
        """A socket for `address`, one of getaddrinfo's tuples. Raises OSError if not allowed."""
        family, kind, proto, _, sockaddr = address
        allowed = self._rules.allows_address(self.host, sockaddr[0])
        self._verdicts.add(allowed)
        if not allowed:
            raise OSError("not allowed")
        return socket.socket(family, kind, proto)

    def session(self, seconds: float | None = None) -> aiohttp.ClientSession:
        """What sends the request; all of it may take `seconds`."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(socket_factory=self.socket, limit=1),
            timeout=aiohttp.ClientTimeout(total=seconds),
            # nothing is made up that a signature may not have counted on
            skip_auto_headers=("User-Agent", "Accept-Encoding", "Content-Type"),
            trust_env=False,
            auto_decompress=False,
        )
