"""A peer may be slow, but not silent for ever: one timer for each transfer, however many chunks."""

from __future__ import annotations

import asyncio
from types import TracebackType

from filepipe.errors import Stalled


class Watch:
    """Cancels the task that uses it when a single wait for the peer exceeds `limit` seconds.

    `with Watch(...)` round the transfer; `begin` before each wait for the peer and `end` after it.
    What the cancellation becomes on leaving the block is `Stalled`. A wait is noticed within a
    quarter of the limit.
    """

    __slots__ = ("_fired", "_loop", "_side", "_since", "_task", "_timer", "limit")

    def __init__(self, limit: float, side: str) -> None:
        self.limit = limit
        self._side = side
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._since: float | None = None
        self._fired = False
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Watch:
        self._timer = self._loop.call_later(self.limit / 4, self._look)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._fired and kind is asyncio.CancelledError:
            assert self._task is not None
            # not ours alone: somebody else wants the task to end as well
            if self._task.uncancel() == 0:
                raise Stalled(
                    f"the peer {self._side} nothing for {self.limit:g} seconds"
                ) from error

    def begin(self) -> None:
        """Now it is the peer's turn."""
        self._since = self._loop.time()

    def end(self) -> None:
        """The peer moved."""
        self._since = None

    def _look(self) -> None:
        if self._since is not None and self._loop.time() - self._since >= self.limit:
            self._fired = True
            assert self._task is not None
            self._task.cancel()
            return
        self._timer = self._loop.call_later(self.limit / 4, self._look)
