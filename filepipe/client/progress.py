"""What a transfer reports while it runs, and how a terminal shows it.

The protocol needs nothing but the language; rich is imported when a bar is really drawn.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from filepipe.sizes import format_duration, format_size

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import Task


class Progress(Protocol):
    """Hears of a transfer, on the thread of its event loop; must return at once."""

    def begin(self, total: int | None, done: int) -> None:
        """Hear that a body begins (again): `done` of `total` bytes (None: unknown) are there."""
        ...

    def advance(self, count: int) -> None:
        """Hear that `count` more bytes went through."""
        ...

    def note(self, text: str) -> None:
        """Hear what a person who waits wants to know."""
        ...


def terminal_progress(
    label: str, *, quiet: bool, stream: TextIO | None = None
) -> TerminalProgress | None:
    """Make a reporter on stderr, None if `quiet` or when it is no terminal."""
    where = sys.stderr if stream is None else stream
    return None if quiet or not where.isatty() else TerminalProgress(label, where)


class TerminalProgress:
    """A bar with bytes, rate and time left; a line with the total when the block ends well."""

    def __init__(
        self, label: str, stream: TextIO, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        from rich.console import Console  # noqa: PLC0415 - only a terminal needs rich

        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._bar = _bar(self._console)
        self._label = label
        self._task = self._bar.add_task(f"{label}: waiting", total=None, start=False)
        self._clock = clock
        self._start = 0.0
        self._moved = 0

    def __enter__(self) -> Self:
        self._start = self._clock()
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away; after a success leave the summary."""
        self._bar.stop()
        if kind is None:
            self._console.print(summary(self._moved, self._clock() - self._start))

    def begin(self, total: int | None, done: int) -> None:
        """Set the bar; the rate counts from here."""
        self._bar.update(self._task, total=total, completed=done, description=self._label)
        self._bar.start_task(self._task)

    def advance(self, count: int) -> None:
        """Move the bar."""
        self._moved += count
        self._bar.advance(self._task, count)

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text)


def summary(count: int, seconds: float) -> str:
    """Write the line that stays, such as "12.3 MiB in 1.2 s (10 MiB/s)"."""
    rate = format_size(round(count / max(seconds, 0.001)))
    return f"{format_size(count)} in {seconds:.1f} s ({rate}/s)"


def figures(done: float, total: float | None, speed: float | None, left: float | None) -> str:
    """Write what stands beside the bar: bytes, percent, rate and time left, where known."""
    parts = [format_size(int(done))]
    if total:
        parts = [f"{done / total:.0%}", f"{parts[0]} of {format_size(int(total))}"]
    if speed is not None:
        parts.append(f"{format_size(int(speed))}/s")
    if total and left is not None:
        parts.append(f"{format_duration(round(left))} left")
    return "  ".join(parts)


def _bar(console: Console) -> Bar:
    from rich.progress import BarColumn, ProgressColumn, TextColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Figures(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(figures(task.completed, task.total, task.speed, task.time_remaining))

    # What a command prints on stdout is its result: rich must not redirect it.
    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        Figures(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
