"""A thread that drives many moves by one epoll; every call into the kernel releases the GIL.

Rule 1: other threads talk to it through `_inbox` and an eventfd only.
Rule 2: an intake and the outflows that follow it live on one worker, so a gauge needs no lock.
Rule 3: what the event loop hears is throttled: growth at most once in `NOTIFY_EVERY` seconds while
        bytes stream, at once when the stream pauses; how far a passage is, for which nobody
        waits, every `COUNT_EVERY` seconds; the end of a move always.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack

from filepipe.errors import Broken, FilepipeError, TooManyFiles
from filepipe.relay.moves import Gauge, Intake, Move, Next, Outflow, Pipe, Shared, stalled_by

NOTIFY_EVERY = 0.005
COUNT_EVERY = 0.1
TICK = 1.0
"""Seconds between two looks for stalled peers."""

_READ = select.EPOLLIN | select.EPOLLRDHUP if hasattr(select, "epoll") else 0
_WRITE = select.EPOLLOUT | select.EPOLLRDHUP if hasattr(select, "epoll") else 0
_LEFT = select.EPOLLRDHUP | select.EPOLLERR | select.EPOLLHUP if hasattr(select, "epoll") else 0

Report = Callable[[Move], None]


class Worker(threading.Thread):
    """`on_growth` and `on_end` are called on this thread: after growth, and once for each move."""

    def __init__(self, name: str, on_growth: Callable[[Shared], None], on_end: Report) -> None:
        """Raises `TooManyFiles` when there is no descriptor left."""
        super().__init__(name=name, daemon=True)
        self._on_growth = on_growth
        self._on_end = on_end
        try:
            self._open()
        except OSError as error:
            raise TooManyFiles("too many open files, try again later") from error
        self._inbox: deque[Callable[[], None]] = deque()
        self._moves: dict[int, Move] = {}
        self._ready: deque[Move] = deque()
        self._grown: set[Gauge] = set()
        self._last_notice = 0.0
        self._counted: set[Shared] = set()
        self._last_count = 0.0
        self._last_tick = time.monotonic()
        self._stopping = False
        self._closed = False
        self.load = 0

    def _open(self) -> None:
        with ExitStack() as undo:
            self._epoll = select.epoll()
            undo.callback(self._epoll.close)
            self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            undo.callback(os.close, self._bell)
            self._epoll.register(self._bell, select.EPOLLIN)
            self._pipe = Pipe()
            undo.pop_all()

    # -- from other threads

    def submit(self, move: Move) -> None:
        """Take over `move`; `on_end` tells of its end."""
        self.post(lambda: self._start(move))

    def cancel(self, move: Move) -> None:
        """End `move` early; nothing happens if it is over already."""
        self.post(lambda: self._cut(move))

    def abandon(self, gauge: Gauge) -> None:
        """Nothing more will fill `gauge`; whoever waits for growth is cut."""
        self.post(lambda: self._give_up(gauge))

    def stop(self) -> None:
        """Cut every move and end the thread; returns when it has ended."""
        self.post(self._halt)
        self.join()

    def close(self) -> None:
        """Let go of the descriptors of a thread that does not run; what is asked is ignored."""
        self._closed = True
        self._epoll.close()
        os.close(self._bell)
        self._pipe.close()

    def post(self, task: Callable[[], None]) -> None:
        """Run `task` on the thread."""
        if not self._closed:
            self._inbox.append(task)
            os.eventfd_write(self._bell, 1)

    # -- on the thread, from its moves

    def resume(self, move: Move) -> None:
        """Let `move` step again, if it waits for others."""
        if move.waits_for is Next.OTHERS:
            move.begin_turn()
            self._ready.append(move)

    def end(self, move: Move, failure: FilepipeError | None) -> None:
        """Let go of `move`; nothing happens if it is over already."""
        if self._moves.pop(move.sock, None) is not None:
            self._epoll.unregister(move.sock)
            self._release(move, failure)

    def count(self, what: Shared) -> None:
        """Tell the event loop some time soon that bytes moved."""
        self._counted.add(what)

    # -- on the thread

    def run(self) -> None:
        """Serve until `stop`."""
        while not self._stopping:
            self._poll()
            self._turn()
            now = time.monotonic()
            self._notify(now)
            self._count(now)
            self._tick(now)

    def _poll(self) -> None:
        timeout = COUNT_EVERY if self._counted else TICK
        if self._ready or self._grown:
            timeout = 0.0 if self._ready else NOTIFY_EVERY
        for fd, events in self._epoll.poll(timeout):
            if fd == self._bell:
                os.eventfd_read(self._bell)
            elif (move := self._moves.get(fd)) is not None:
                self._wake(move, events)
        while self._inbox:
            self._inbox.popleft()()

    def _wake(self, move: Move, events: int) -> None:
        move.watched = 0
        if events & _LEFT and (failure := move.left(events)) is not None:
            self.end(move, failure)
        elif move.waits_for in (Next.READABLE, Next.WRITABLE):
            move.waits_for = Next.TURN
            self._ready.append(move)

    def _turn(self) -> None:
        for _ in range(len(self._ready)):
            move = self._ready.popleft()
            if move.sock not in self._moves:
                continue
            try:
                waits_for = move.step(self._pipe)
            except FilepipeError as error:
                self.end(move, error)
                continue
            if isinstance(move, Intake):
                self._follow(move.gauge)
            self._wait(move, waits_for)

    def _wait(self, move: Move, waits_for: Next) -> None:
        move.waits_for = waits_for
        if waits_for is Next.TURN:
            self._ready.append(move)
        elif waits_for is Next.DONE:
            self.end(move, None)
        elif waits_for is Next.READABLE:
            self._watch(move, _READ)
        elif waits_for is Next.WRITABLE:
            self._watch(move, _WRITE)
        else:
            if isinstance(move, Outflow):
                move.gauge.followers.append(move)
            self._watch(move, _LEFT)

    def _watch(self, move: Move, events: int) -> None:
        if move.watched != events:
            move.watched = events
            self._epoll.modify(move.sock, events | select.EPOLLONESHOT)

    def _follow(self, gauge: Gauge) -> None:
        """Wake the outflows that wait at the end of the file."""
        self._grown.add(gauge)
        for move in gauge.followers:
            move.begin_turn()
            self._ready.append(move)
        gauge.followers.clear()

    def _start(self, move: Move) -> None:
        try:
            self._epoll.register(move.sock, select.EPOLLONESHOT)
        except OSError:  # the user's share of watches is used up, see epoll(7)
            self._release(move, TooManyFiles("too many open files, try again later"))
            return
        self._moves[move.sock] = move
        move.begin_turn()
        self._ready.append(move)
        move.begun()

    def _cut(self, move: Move) -> None:
        if self._moves.get(move.sock) is move:
            self.end(move, Broken("cut off"))

    def _give_up(self, gauge: Gauge) -> None:
        gauge.broken = True
        self._follow(gauge)
        self._grown.discard(gauge)

    def _release(self, move: Move, failure: FilepipeError | None) -> None:
        move.failure = failure
        move.close()
        move.sock = -1
        if isinstance(move, Intake) and failure is not None:
            self._give_up(move.gauge)
        self._on_end(move)
        move.ended()  # which may end others: what caused it is told first

    def _notify(self, now: float) -> None:
        if not self._grown:
            return
        if self._ready and now - self._last_notice < NOTIFY_EVERY:
            return
        self._last_notice = now
        grown, self._grown = self._grown, set()
        for gauge in grown:
            self._on_growth(gauge)

    def _count(self, now: float) -> None:
        if self._counted and now - self._last_count >= COUNT_EVERY:
            self._last_count = now
            counted, self._counted = self._counted, set()
            for what in counted:
                self._on_growth(what)

    def _tick(self, now: float) -> None:
        if now - self._last_tick < TICK:
            return
        self._last_tick = now
        for move in list(self._moves.values()):
            if move.stalled(now):
                self.end(move, stalled_by(move))

    def _halt(self) -> None:
        for move in list(self._moves.values()):
            self.end(move, Broken("the daemon stopped"))
        self._stopping = True
