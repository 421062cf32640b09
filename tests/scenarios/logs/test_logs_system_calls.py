"""The Nth system call under a log fails: a sentence, no hang, and nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.conftest import Daemon
from tests.scenarios.faults import Fault, NotTraced, failing, met
from tests.scenarios.logs.asking import append, ask

_numbers = itertools.count()


def record(daemon: Daemon, path: str) -> int:
    """Append a record."""
    answer = append(daemon, path, b"r" * 100)
    return answer.status


def session(daemon: Daemon, path: str) -> int:
    """Append a body of unknown length."""
    answer = append(daemon, path, b"s" * 100, chunked=True)
    return answer.status


def socket(daemon: Daemon, path: str) -> int:
    """Append by a WebSocket, and wait for the acknowledgement."""
    url = daemon.url(f"{path}?verb=APPEND").replace("http", "ws", 1)
    with connect(url, subprotocols=[Subprotocol("filepipe.append")]) as line:
        line.send(b"w" * 100)
        with contextlib.suppress(ConnectionClosed):
            line.recv(20)
            return 200
        return line.close_code or 0


def stream(daemon: Daemon, path: str) -> int:
    """Append by the protocol of streams, as a producer."""
    data = ("-H", "Content-Type: text/plain", "--data-binary", "p" * 100)
    mark = ("-H", "Producer-Id: p", "-H", "Producer-Epoch: 0", "-H", "Producer-Seq: 0")
    answer = ask(daemon, f"/streams{path}", *data, *mark)
    return answer.status


def closing(daemon: Daemon, path: str) -> int:
    """Close the log."""
    answer = append(daemon, path, b"", "&close")
    return answer.status


Act = Callable[[Daemon, str], int]

FAULTS = [
    Fault("pwritev2", "ENOSPC", 1),
    Fault("pwritev2", "EIO", 2),
    Fault("fdatasync", "EIO", 1),
    Fault("fdatasync", "ENOSPC", 2),
    Fault("openat", "EMFILE", 1),
]
CASES = [
    (act, fault)
    for act in (record, session, socket, stream, closing)
    for fault in FAULTS
    if act is not closing or fault.number == 1
]
REFUSED = {
    "ENOSPC": (507, 1013), "EIO": (500, 1011), "EMFILE": (503, 1013),
}  # fmt: skip
"""Statuses, and codes of a CLOSE."""


@pytest.fixture(scope="module", autouse=True)
def _strace_is_here() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One that survives all that is done to it."""
    daemon = Daemon(["--allow-delete", "--wait", "0"], tmp_path_factory.mktemp("calls"))
    yield daemon
    code = daemon.process.poll()
    daemon.kill()
    assert code is None


def met_by(daemon: Daemon, fault: Fault, path: str, act: Act) -> int:
    """The status, or the code of a CLOSE, that `act` gets while the fault is there."""
    try:
        with failing(daemon, fault):
            return act(daemon, path)
    except NotTraced as error:
        pytest.skip(f"strace may not be attached: {error}")


@pytest.mark.parametrize(
    ("act", "fault"), CASES, ids=[f"{act.__name__}-{fault}" for act, fault in CASES]
)
def test_an_append(daemon: Daemon, act: Act, fault: Fault) -> None:
    """It is refused; what was there stays, and the next one is taken, or no other ever."""
    path = f"/log{next(_numbers)}"
    head = ("-X", "PUT", "-H", "Content-Type: text/plain")
    assert ask(daemon, f"/streams{path}", *head, "--data-binary", "safe").status == 201
    status = met_by(daemon, fault, path, act)
    assert met(daemon), "no call failed: the test is out of date"
    assert status in REFUSED[fault.error]
    assert ask(daemon, path).body == b"safe"
    again = append(daemon, path, b" and on")
    if fault.call == "fdatasync":
        assert (again.status, again["X-Error-Code"]) == (500, "storage_failed")
        assert ask(daemon, path).body == b"safe"
    else:
        assert (again.status, again.end) == (200, 11)
    assert append(daemon, "/other", b"x").status == 200


@pytest.mark.parametrize(
    "fault",
    [
        Fault("openat", "EMFILE", 1), Fault("pwritev2", "ENOSPC", 1), Fault("pwritev2", "EIO", 2),
        Fault("fdatasync", "EIO", 1), Fault("fdatasync", "ENOSPC", 3), Fault("fsync", "EIO", 1),
    ],
    ids=str,
)  # fmt: skip
def test_a_stream_that_is_made(daemon: Daemon, fault: Fault) -> None:
    """With its first bytes, or not at all; the next try makes it."""
    path = f"/made{next(_numbers)}"
    make = ("-X", "PUT", "-H", "Content-Type: text/plain", "--data-binary", "first")
    status = met_by(daemon, fault, path, lambda *_: ask(daemon, f"/streams{path}", *make).status)
    assert met(daemon), "no call failed: the test is out of date"
    assert status in REFUSED[fault.error]
    assert ask(daemon, path).status == 404
    assert ask(daemon, f"/streams{path}", *make).status == 201
    assert ask(daemon, path).body == b"first"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("openat", "EMFILE", 1), Fault("pwritev2", "ENOSPC", 1), Fault("fdatasync", "EIO", 2),
        Fault("unlink", "EIO", 1), Fault("fsync", "EIO", 2),
    ],
    ids=str,
)  # fmt: skip
def test_a_removal(daemon: Daemon, fault: Fault) -> None:
    """The log is refused until another try removes it; then the key is free."""
    path = f"/gone{next(_numbers)}"
    assert append(daemon, path, b"bytes").status == 200

    def remove(*_: object) -> int:
        return ask(daemon, path, "-X", "DELETE").status

    status = met_by(daemon, fault, path, remove)
    assert met(daemon), "no call failed: the test is out of date"
    assert status == (500 if fault.error == "EIO" else 503)
    assert ask(daemon, path).status == 500
    assert remove() == 204
    assert append(daemon, path, b"new").end == 3


@pytest.mark.parametrize("query", ["", "?follow"])
def test_a_read(daemon: Daemon, query: str) -> None:
    """It is refused, or cut where it was; the next one has every byte."""
    path = f"/read{next(_numbers)}"
    assert append(daemon, path, b"bytes", "&close").status == 200
    found = []

    def read(*_: object) -> int:
        found.append(ask(daemon, path + query))
        return found[0].status

    met_by(daemon, Fault("pread64", "EIO", 1), path, read)
    assert met(daemon), "no call failed: the test is out of date"
    assert found[0].status == 500 or (found[0].code, found[0].body) == (18, b"")
    assert ask(daemon, path + query).body == b"bytes"
