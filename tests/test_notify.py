"""What a service manager would hear."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """A manager that listens, and the address that it hands out."""
    if request.param == "abstract":
        address = f"@filepipe-test-{os.getpid()}"
        bound = "\0" + address[1:]
    else:
        address = bound = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(bound)
        except OSError as error:
            pytest.skip(f"no {request.param} socket addresses here: {error}")
        sock.setblocking(False)
        yield address, sock


def test_messages_arrive_in_their_order(manager: tuple[str, socket.socket]) -> None:
    """Each call is one datagram, on a path as well as on an abstract name."""
    address, sock = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})
    notifier.ready("listens on :3000")
    notifier.status("3 channels")
    notifier.watchdog()
    notifier.stopping()
    assert [sock.recv(4096) for _ in range(4)] == [
        b"READY=1\nSTATUS=listens on :3000",
        b"STATUS=3 channels",
        b"WATCHDOG=1",
        b"STOPPING=1",
    ]


@given(text=st.text())
def test_a_status_can_never_become_another_assignment(text: str) -> None:
    """Whatever the text holds, one line follows STATUS=."""
    sent: list[str] = []
    notifier = Notifier("@nobody", None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notifier, "_send", sent.append)
        notifier.status(text)
    assert len(sent[0].split("\n")) == 1
    assert sent[0].startswith("STATUS=")


@pytest.mark.parametrize(
    "address", ["", "/no/such/socket", "@nobody-listens", "vsock:2:1", "relative", "/" + "x" * 300]
)
def test_nobody_listens(address: str) -> None:
    """Without a manager, or with one that is gone or unknown, every call is silent."""
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address} if address else {})
    notifier.ready("ready")
    notifier.status("\ud800 is no text")
    notifier.watchdog()
    notifier.stopping()


def test_a_manager_that_does_not_read_delays_nobody(manager: tuple[str, socket.socket]) -> None:
    """A full queue loses messages; the daemon goes on."""
    address, _ = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})
    for _ in range(2000):
        notifier.watchdog()


@pytest.mark.parametrize(
    ("variables", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "me"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog_interval(variables: dict[str, str], interval: float | None) -> None:
    """Half of the limit, if it is meant for this process and can be understood."""
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": "@x", **variables})
    assert notifier.watchdog_interval == interval


def test_no_watchdog_without_a_socket() -> None:
    """A limit alone is not worth a timer: nobody could be told."""
    assert Notifier.from_environment({"WATCHDOG_USEC": "30000000"}).watchdog_interval is None
