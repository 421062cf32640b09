"""Too few file descriptors: 503s, a short log, and all is well when there are some again."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable

import pytest

from tests.conftest import Daemon, curl, eventually, read_all
from tests.scenarios.peers import MIB, at_rest, body_of, descriptors, put, sha
from tests.scenarios.resumable.peer import Client
from tests.scenarios.tus.wire import Wire
from tests.scenarios.uploads.api import ENVIRONMENT, Api

BODY = body_of(3 * MIB)

Start = Callable[..., Daemon]


@pytest.fixture
def starved(start: Start, each_path: str) -> Daemon:
    """A daemon that may have 72 descriptors."""
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit is not installed")
    return start(each_path, "--retention", "0.2", prefix=["prlimit", "--nofile=72:72"])


def test_more_connections_than_descriptors(starved: Daemon) -> None:
    """Two hundred connections at once: nobody hangs, the log stays short, then all is as before."""
    put(starved, "/warm", BODY)
    eventually(lambda: at_rest(starved))
    before = descriptors(starved)
    for _ in range(2):
        with contextlib.ExitStack() as crowd:
            socks = [crowd.enter_context(starved.connect()) for _ in range(200)]
            for sock in socks:
                with contextlib.suppress(ConnectionError):
                    sock.sendall(
                        b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                    )
            answers = [read_all(sock) for sock in socks]
        statuses = {answer[9:12] for answer in answers}
        assert statuses <= {b"200", b"503", b""}
        assert {b"200", b"503"} <= statuses
        assert all(b"\r\nRetry-After: " in answer for answer in answers if answer[9:12] == b"503")
        eventually(lambda: descriptors(starved) <= before)
    assert put(starved, "/k", BODY)[0] == 200
    assert sha(curl(starved.url("/k")).stdout) == sha(BODY)
    assert starved.log_path.stat().st_size < 300_000
    assert starved.stop() == 0
    starved.assert_clean_log()


def test_more_files_than_descriptors(starved: Daemon) -> None:
    """Each spilled body needs a descriptor: what gets none is refused, the rest stays whole."""
    statuses = {}
    for number in range(70):
        status, text = put(starved, f"/{number}?max-age=3600", BODY)
        statuses[number] = status
        if status != 200:
            assert (status, text) == (503, "too many open files, try again later\n")
            break
    assert 503 in statuses.values()
    assert len(statuses) > 10
    assert put(starved, "/small", b"hello")[0] == 200
    assert sha(curl(starved.url("/0")).stdout) == sha(BODY)
    eventually(lambda: len(starved.state()["keys"]) == len(statuses) - 1)
    starved.assert_clean_log()


def test_more_uploads_than_descriptors(start: Start) -> None:
    """An upload that nobody sends needs none for long: any number may be open, and goes on."""
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit is not installed")
    daemon = start(env=ENVIRONMENT, prefix=["prlimit", "--nofile=72:72"])
    api, client, wire = Api(daemon, listener=0), Client(daemon), Wire(daemon)
    in_parts = [api.begin(b"in parts") for _ in range(80)]
    locations = [client.begin(b"resum").location for _ in range(80)]
    by_tus = [wire.create(3) for _ in range(80)]
    for made, location, upload in zip(in_parts, locations, by_tus, strict=True):
        made.put_all()
        assert made.complete().status == 200
        assert client.append(location, 5, b"able", complete=True).status == 200
        assert upload.patch(b"tus", 0).status == 204
    assert descriptors(daemon) < 60
    daemon.assert_clean_log()
