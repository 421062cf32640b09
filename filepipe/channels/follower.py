"""A reader of a log who stays: a cursor over what is acknowledged, to the end that is meant."""

from __future__ import annotations

from filepipe.channels.channel import READ_SIZE, Reader
from filepipe.channels.log import Log
from filepipe.channels.state import State
from filepipe.errors import Broken, Draining


class Follower(Reader):
    """A cursor that stays. It ends with the log, or with the session that it joined.

    `log` is what `channel` is. `by_record`: what is read at once is of one record, where records
    are still known; `at_end_of_record` says after a read whether that was its end.
    """

    __slots__ = ("_session", "at_end_of_record", "by_record", "log")

    def __init__(self, log: Log, start: int) -> None:
        super().__init__(log, start)
        self.log = log
        self.by_record = False
        self.at_end_of_record = True
        self._session = log.session

    async def read(self, limit: int = READ_SIZE) -> bytes:
        """The next 1 to `limit` bytes, waiting for them; b"" at the clean end.

        Raises `Broken` when the session was lost or the log deleted, `Draining`, `StorageFailed`.
        """
        log = self.log
        while self.offset >= log.size and log.state is State.WRITING:
            if self._is_at_its_end():
                return b""
            if log.draining and log.session is None:
                raise Draining("server is shutting down")
            await log.progress()
            log.check()
        if self._is_at_its_end():
            return b""
        limit = min(limit, self.ready)
        if not self.by_record:
            return await super().read(limit)
        end = log.end_of_record(self.offset)
        data = await super().read(limit if end is None else min(limit, end - self.offset))
        self.at_end_of_record = self.offset in (end, log.size)
        return data

    @property
    def is_live(self) -> bool:
        """Whether more may come behind what there is."""
        log, session = self.log, self._session
        return (
            log.state is State.WRITING
            and (session is None or not session.over)
            and not (log.draining and log.session is None)
            and log.files.damage is None
        )

    @property
    def is_served(self) -> bool:
        """Whether what there is can be read."""
        log = self.log
        return log.state in (State.WRITING, State.FINISHED) and log.files.damage is None

    @property
    def ready(self) -> int:
        """How many bytes can be read now."""
        return self.end - self.offset

    @property
    def end(self) -> int:
        """To where it can be read now."""
        session, end = self._session, self.log.size
        return min(end, session.end) if session is not None and session.over else end

    def _is_at_its_end(self) -> bool:
        session = self._session
        if session is None or not session.over or self.offset < session.end:
            return False
        if session.lost is not None:
            raise Broken("the appender was lost") from session.lost
        return True
