"""Stops and crashes: what was acknowledged is there afterwards, and what has a name is whole."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from tests.conftest import Daemon, eventually, read_all, read_until
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.uploads.api import ENVIRONMENT, LISTENERS, Api
from tests.scenarios.uploads.conftest import Launch
from tests.scenarios.uploads.test_uploads_parts import head

BODY = body_of(3 * MIB)


def again(api: Api, *settings: str) -> Api:
    """The same daemon once more."""
    api.daemon.kill()
    api.daemon.log_path.rename(api.daemon.folder / f"log-{time.time_ns()}")
    api.daemon = Daemon([*LISTENERS, *settings], api.daemon.folder, env=ENVIRONMENT)
    return api


@pytest.fixture
def mortal(launch: Launch) -> Callable[..., Api]:
    """Start one that a test will end; the last one ends with the test."""
    started: list[Api] = []

    def starting(*settings: str) -> Api:
        started.append(launch(*settings))
        return started[-1]

    yield starting  # type: ignore[misc]
    for api in started:
        api.daemon.kill()


def test_it_goes_on(mortal: Callable[..., Api]) -> None:
    """After a crash the client goes on where it was, with the same tokens."""
    api = mortal()
    made, done = api.begin(BODY), api.upload(b"done")
    made.put(1)
    again(api)
    parts = made.status()["parts"]
    assert [part["status"] for part in parts] == ["pending", "uploaded", "pending"]
    assert parts[1]["checksum_sha256"] == sha(made.piece(1))
    for part in (0, 1, 2):
        assert made.put(part).status == 200
    assert api.at(made.complete().json["final_path"]) == BODY
    assert done.content().body == b"done"
    assert done.put(0).status == 200
    assert done.complete().status == 200
    api.daemon.assert_clean_log()


def test_finishing_goes_on_by_itself(mortal: Callable[..., Api]) -> None:
    """Killed while it verifies, the next start ends the job without being asked."""
    api = mortal("--complete-wait", "0")
    body = body_of(1000) * 20_000
    made = api.begin(body, "large", checksum_sha256=sha(body))
    made.put_all()
    assert made.complete().status in (200, 202)
    api.daemon.kill()
    again(api)
    eventually(lambda: made.status()["status"] == "complete")
    assert sha(api.at("large")) == sha(body)
    assert api.names() == {"large"}


def test_a_drain(mortal: Callable[..., Api]) -> None:
    """A part under way is finished and acknowledged, a new one is refused, then the daemon ends."""
    api = mortal("--drain-timeout", "30")
    made = api.begin(BODY)
    piece = made.piece(0)
    with (
        api.daemon.connect(head(made, 0, MIB) + piece[:1000], listener=1) as sender,
        api.daemon.connect(listener=1) as other,
    ):
        eventually(lambda: made.put(0).status == 503)
        api.daemon.process.send_signal(signal.SIGTERM)
        eventually(lambda: any(line["event"] == "draining" for line in api.daemon.log()))
        other.sendall(head(made, 1, MIB, "Expect: 100-continue"))
        refused = read_all(other)
        assert refused.startswith(b"HTTP/1.1 503 "), refused
        assert b"Retry-After:" in refused
        assert b'"code": "draining"' in refused
        assert api.daemon.process.poll() is None
        sender.sendall(piece[1000:])
        assert sha(piece).encode() in read_until(sender, b"}")
    assert api.daemon.process.wait(20) == 0
    again(api)
    assert made.status()["uploaded_parts"] == 1
    made.put_all()
    assert api.at(made.complete().json["final_path"]) == BODY


def test_a_drain_has_an_end(mortal: Callable[..., Api]) -> None:
    """A sender that does not finish is told so in the end."""
    api = mortal("--drain-timeout", "0.3")
    made = api.begin(BODY)
    with api.daemon.connect(head(made, 0, MIB) + b"x", listener=1) as sender:
        eventually(lambda: made.put(0).status == 503)
        assert api.daemon.stop() == 0
        answer = read_all(sender)
    assert answer.startswith(b"HTTP/1.1 503 "), answer
    assert b'"code": "draining"' in answer
