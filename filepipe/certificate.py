"""The certificate of the https listeners, read again when its files change.

1. Both files are looked at every `INTERVAL` seconds; when one of them changed, both are read.
2. Each reading is a context of its own, and each handshake takes the newest. Loading into a context
   in use would keep a certificate whose key is of another kind beside the new one, and serve that.
3. A pair that cannot be used, such as one whose key is yet to come, changes nothing and is told
   once, until the files change again.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from filepipe.errors import ConfigError
from filepipe.logs import get_logger

log = get_logger("filepipe.certificate")

INTERVAL = 2.0
"""Seconds between two looks at the files."""


class Certificate:
    """A certificate chain and its private key, both PEM files; raises `ConfigError` at first only.

    `context` is for every https listener. Connections keep the pair that they began with.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain = chain
        self._key = key
        self._seen = self._stamps()
        try:
            self.context = self._newest = self._read()
        except OSError as error:
            raise ConfigError(f"tls_cert: cannot be used with tls_key: {_reason(error)}") from error
        self.context.sni_callback = self._take_newest

    async def watch(self) -> None:
        """Look at the files until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            await asyncio.to_thread(self.refresh)

    def refresh(self) -> None:
        """Read the files if they changed since the last look; blocks on the disk."""
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            self._newest = self._read()
        except OSError as error:
            log.warning(
                "new certificate cannot be used, the old one stays",
                certificate=str(self._chain),
                key=str(self._key),
                reason=_reason(error),
            )
        else:
            log.info("new certificate", certificate=str(self._chain), key=str(self._key))

    def _read(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # Without a password OpenSSL would ask the terminal for that of a locked key, and wait.
        context.load_cert_chain(self._chain, self._key, password="")
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _take_newest(self, connection: ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
        # OpenSSL calls this for each handshake, also when the client names no server.
        connection.context = self._newest

    def _stamps(self) -> tuple[tuple[int, ...], ...]:
        return tuple(_stamp(path) for path in (self._chain, self._key))


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes when the file is written or replaced; nothing while it is away."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _reason(error: OSError) -> str:
    if not isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key is not that of the certificate"
    return f"one of them is no PEM of its kind, or the key has a password ({error.reason})"
