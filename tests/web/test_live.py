"""Live: a body goes from its sender to its receivers, and both are told the truth."""

from __future__ import annotations

from tests.conftest import Daemon, curl, eventually, start_curl


def test_a_hand_over(daemon: Daemon):
    """The receiver has the body, the sender the word."""
    receiver = start_curl(daemon.url("/key"))
    eventually(lambda: daemon.state()["waiting_readers"] == 1)
    sent = curl("--data-binary", "hello", daemon.url("/key"))
    assert sent.stdout == b"delivered to 1 receiver\n"
    assert receiver.communicate(timeout=10)[0] == b"hello"
