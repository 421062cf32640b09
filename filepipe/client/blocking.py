"""One daemon thread for calls that may block for ever, such as reading a pipe.

The loop's own pool is joined when the loop ends: a read of a silent terminal would then hold up
Ctrl-C until somebody presses a key.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class BlockingThread:
    """Runs blocking calls one after the other; use it as a context manager."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the thread after the calls that it has; does not wait for it."""
        self._calls.put(None)

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Return what `function` returns; a cancelled call runs on, and nobody hears of it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="filepipe-io", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._calls.put(lambda: _answer(loop, answer, function, args))
        return await answer

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _answer(
    loop: asyncio.AbstractEventLoop,
    answer: asyncio.Future[T],
    function: Callable[..., T],
    args: tuple[Any, ...],
) -> None:
    deliver: Callable[[], None]
    try:
        deliver = partial(answer.set_result, function(*args))
    except BaseException as error:  # noqa: BLE001 - it is the caller's to judge
        deliver = partial(answer.set_exception, error)
    # The loop is closed when the program was stopped while the call blocked.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_unless_done, answer, deliver)


def _unless_done(answer: asyncio.Future[T], deliver: Callable[[], None]) -> None:
    if not answer.done():
        deliver()
