"""Kinds, methods, orders: who gets what under one key."""

from __future__ import annotations

from tests.conftest import Daemon, curl, eventually, start_curl


def test_the_sender_first(daemon: Daemon):
    """It waits for its receiver."""
    sender = start_curl("--data-binary", "hello", daemon.url("/key"))
    eventually(lambda: daemon.state()["keys"])
    assert curl(daemon.url("/key")).stdout == b"hello"
    assert sender.communicate(timeout=10)[0] == b"delivered to 1 receiver\n"
