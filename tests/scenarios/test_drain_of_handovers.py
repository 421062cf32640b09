"""SIGTERM in the middle of what is handed over live."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable

from tests.conftest import Daemon, eventually
from tests.scenarios.peers import Download, Offer


def test_a_receiver_is_told_when_its_sender_is_cut(start: Callable[..., Daemon]) -> None:
    """A hand-over of which no byte went is refused to both sides, not just cut."""
    daemon = start("--drain-timeout", "1h")
    paths = ("/a", "/channels/n/b", "/-/piping/c")
    with contextlib.ExitStack() as stack:
        receivers = [stack.enter_context(Download(daemon, path)) for path in paths]
        eventually(lambda: len(daemon.state()["waiting_keys"]) == len(paths))
        senders = [stack.enter_context(Offer(daemon, path)) for path in paths]
        eventually(lambda: len(daemon.state()["keys"]) == len(paths))
        for phase in ("draining", "cut"):
            daemon.process.send_signal(signal.SIGTERM)
            eventually(lambda phase=phase: any(line["event"] == phase for line in daemon.log()))
        assert [receiver.begin() for receiver in receivers] == [502, 502, 502]
        assert all(b"stopped" in sender.answer() for sender in senders)
        assert daemon.process.wait(60) == 0
