"""Answers with exactly the headers that they were given, and an end that may fail."""

from __future__ import annotations

from aiohttp import web


class _Untyped(web.StreamResponse):
    """An answer without a Content-Type where nobody named one."""

    async def _prepare_headers(self) -> None:
        named = "Content-Type" in self.headers
        await super()._prepare_headers()
        if not named:
            self.headers.popall("Content-Type", None)


class BareResponse(_Untyped):
    """A streamed answer, whose head leaves together with its first bytes."""

    _send_headers_immediately = False  # or a client that reads once would get the head alone
    _was_cut = False

    def cut(self, request: web.BaseRequest) -> None:
        """End it without its end, so that nobody takes it for whole.

        What the peer still sends is read for a moment, so that no reset eats what it was told.
        """
        self._was_cut = True
        self.force_close()
        transport = request.transport
        if transport is not None and transport.can_write_eof():
            transport.write_eof()

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing, once it was cut."""
        if not self._was_cut:
            await super().write_eof(data)


class BareAnswer(_Untyped, web.Response):
    """An answer in one piece."""
