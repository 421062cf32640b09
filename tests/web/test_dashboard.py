"""Live pictures from a real daemon: when they come, who gets them, and how a stream ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from filepipe.app import App, make_app
from filepipe.config import Listen, Settings
from filepipe.credentials import Credentials
from filepipe.web.dashboard import Dashboard
from tests.conftest import Daemon, curl, eventually, read_all, read_until, start_curl

ASK = "GET /state HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
EVENTS = f"{ASK}\r\n".encode()
PROXIED = f"{ASK}X-Forwarded-For: 192.0.2.1\r\n\r\n".encode()
REBOUND = ASK.replace("localhost", "rebound.example").encode() + b"\r\n"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon for everybody; whoever uses it takes keys that nobody else has."""
    daemon = Daemon(["--listen", "0.0.0.0:0"], tmp_path_factory.mktemp("watched"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


class Stream:
    """One who watches, on a raw connection."""

    def __init__(self, daemon: Daemon, request: bytes = EVENTS, listener: int = 0) -> None:
        self.sock = daemon.connect(request, listener)
        head, _, self.rest = read_until(self.sock, b"\r\n\r\n").partition(b"\r\n\r\n")
        self.head = head.decode()

    def event(self) -> dict[str, Any]:
        """The next picture; chunk sizes and comments are skipped."""
        while (found := re.search(rb"data: (.*?)\n\n", self.rest)) is None:
            data = self.sock.recv(65536)
            assert data, "the stream ended"
            self.rest += data
        self.rest = self.rest[found.end() :]
        return json.loads(found[1])

    def until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The next picture that is as wanted."""
        while not condition(picture := self.event()):
            pass
        return picture


@pytest.fixture
def stream(watched: Daemon) -> Iterator[Callable[..., Stream]]:
    """Open streams; they end with the test."""
    with contextlib.ExitStack() as opened:

        def open_stream(request: bytes = EVENTS) -> Stream:
            found = Stream(watched, request)
            opened.enter_context(found.sock)
            return found

        yield open_stream


def named(key: str) -> Callable[[dict[str, Any]], object]:
    """Whether a picture has a channel of this key."""
    return lambda picture: any(row["key"] == key for row in picture["keys"])


def test_the_first_picture_comes_at_once(stream: Callable[..., Stream]) -> None:
    """It is the state, as a stream of events that nobody stores or holds back."""
    found = stream()
    assert found.head.startswith("HTTP/1.1 200 ")
    for line in (
        "Content-Type: text/event-stream; charset=utf-8", "Cache-Control: no-store",
        "X-Accel-Buffering: no", "X-Content-Type-Options: nosniff",
    ):  # fmt: skip
        assert line in found.head
    picture = found.event()
    assert picture["phase"] == "running"
    assert {"memory", "disk", "channels", "waiting_readers", "keys", "waiting_keys"} <= set(picture)


def test_a_change_is_told(watched: Daemon, stream: Callable[..., Stream]) -> None:
    """A key that comes, a reader who waits: as soon as the pace allows."""
    found = stream()
    found.event()
    curl("-T", "-", watched.url("/told"), input=b"hello", check=True)
    picture = found.until(named("told"))
    (row,) = (row for row in picture["keys"] if row["key"] == "told")
    assert (row["kind"], row["state"], row["size"], row["rate"]) == ("pipe", "finished", 5, 0)
    waiting = start_curl(watched.url("/longed-for"))
    picture = found.until(lambda picture: picture["waiting_keys"])
    assert picture["waiting_keys"] == [
        {"key": "longed-for", "kind": None, "readers": 1, "writers": 0}
    ]
    waiting.kill()
    waiting.communicate()
    found.until(lambda picture: not picture["waiting_keys"])


def test_a_live_transfer_is_told(watched: Daemon, stream: Callable[..., Stream]) -> None:
    """How many are here, of how many; and with what pace it moves."""
    found = stream()
    sending = start_curl("-X", "POST", "-T", "-", watched.url("/handed?n=2"), stdin=-1)
    receiving = [start_curl(watched.url("/handed?n=2"))]
    picture = found.until(lambda picture: any(row.get("seated") for row in picture["keys"]))
    (row,) = (row for row in picture["keys"] if row["key"] == "handed")
    assert (row["kind"], row["seated"], row["seats"]) == ("rendezvous", 1, 2)
    receiving.append(start_curl(watched.url("/handed?n=2")))
    sending.communicate(b"hello")
    assert [party.communicate()[0] for party in receiving] == [b"hello", b"hello"]
    found.until(lambda picture: not named("handed")(picture))


def test_state_without_events_is_json(watched: Daemon) -> None:
    """Who does not ask for events gets one picture, and caches are told why."""
    answer = curl("-i", watched.url("/state")).stdout.decode()
    assert "Content-Type: application/json; charset=utf-8" in answer
    assert "Vary: Accept" in answer
    head = curl("-I", "-H", "Accept: text/event-stream", watched.url("/state"))
    assert head.returncode == 0
    assert b"application/json" in head.stdout


@pytest.mark.parametrize("request_", [PROXIED, REBOUND], ids=["proxy", "rebound"])
def test_keys_are_for_this_machine(
    watched: Daemon, stream: Callable[..., Stream], request_: bytes
) -> None:
    """Others see that something is there, and not what; so does a page that led a browser here."""
    curl("-T", "-", watched.url("/secret-name"), input=b"hello", check=True)
    picture = stream(request_).until(lambda picture: picture["unnamed"])
    assert "keys" not in picture
    assert "waiting_keys" not in picture
    assert "secret-name" not in json.dumps(picture)
    assert not any("key" in row for row in picture["unnamed"])


def test_a_watcher_who_leaves_is_noticed(watched: Daemon) -> None:
    """And leaves room for others."""
    Stream(watched).sock.close()
    eventually(
        lambda: any(line.get("path") == "/state" and line.get("status") == 499
                    and line.get("bytes_out", 0) > 0 for line in watched.log())
    )  # fmt: skip


def test_a_signal_ends_every_stream(start: Callable[..., Daemon]) -> None:
    """After a last picture, cleanly, and the daemon does not wait for anything."""
    daemon = start("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0=file-pipe",
                   "--drain-timeout", "50 seconds")  # fmt: skip
    watching = [Stream(daemon, listener=0), Stream(daemon, listener=1)]
    with daemon.connect(EVENTS.replace(b"HTTP/1.1", b"HTTP/1.0")) as old:
        read_until(old, b"data: ")
        assert daemon.stop() == 0
        assert b'"draining"' in read_all(old)
    for each in watching:
        with each.sock:
            each.until(lambda picture: picture["phase"] == "draining")
            each.sock.settimeout(5)
            assert (each.rest + read_all(each.sock)).endswith(b"0\r\n\r\n")
    daemon.assert_clean_log()


def test_hidden_from_others(start: Callable[..., Daemon]) -> None:
    """Counts stay; who may see more is on this machine."""
    daemon = start("--dashboard", "off")
    with daemon.connect(PROXIED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) as sock:
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.endswith(b"\r\n\r\nthe dashboard is for callers on this machine\n")
    proxied = ("-H", "X-Forwarded-For: 192.0.2.1")
    state = json.loads(curl(*proxied, daemon.url("/state")).stdout)
    assert "memory" in state
    assert not {"keys", "unnamed", "waiting_keys", "unnamed_waiting", "left_off"} & set(state)
    page = curl(*proxied, "-H", "Accept: text/html", daemon.url("/")).stdout
    assert b'data-live="no"' in page
    assert b"is not shown here" in curl(*proxied, daemon.url("/noscript")).stdout
    watching = Stream(daemon)
    with watching.sock:
        assert watching.event()["keys"] == []


# -- in this process, where a second need not take one


@pytest.fixture
async def served(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[tuple[App, tuple[str, int]]]:
    """The parts of a daemon that paints a thousand pictures a second, and where it listens."""
    monkeypatch.setattr("filepipe.web.dashboard.PACE", 0.001)
    settings = Settings(data_dir=str(tmp_path), download_stall="0.2 seconds")
    async with make_app(settings, Credentials(b"k" * 32, b"s" * 32, b"w" * 32, {})) as app:
        server, factory = app.server(Listen.parse("127.0.0.1:0", "auto"), loopback_only=True)
        loop = asyncio.get_running_loop()
        acceptor = await loop.create_server(factory, "127.0.0.1", 0)
        yield app, acceptor.sockets[0].getsockname()
        acceptor.close()
        app.census.dismiss()
        await server.shutdown(1)


async def test_a_sign_of_life(
    served: tuple[App, tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing changes, a comment says that the connection is alive; pictures are not said
    twice.
    """
    monkeypatch.setattr("filepipe.web.dashboard.SILENCE", 0.01)
    reader, writer = await asyncio.open_connection(*served[1])
    writer.write(EVENTS)
    await reader.readuntil(b"data: ")
    silence = await reader.readuntil(b": nothing changed\n\n")
    silence += await reader.readuntil(b": nothing changed\n\n")
    assert b"data: " not in silence
    writer.close()
    await writer.wait_closed()


async def test_a_watcher_that_takes_nothing(
    served: tuple[App, tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cut at the limit for readers; what it did not take is not kept for it."""
    monkeypatch.setattr("filepipe.web.pumps.FLUSH", 0.1)
    app, address = served
    numbers = itertools.count()
    monkeypatch.setattr(
        app.context.dashboard, "_draw", lambda _: {"n": next(numbers), "x": "x" * 200_000}
    )
    with socket.create_connection(address) as sock:
        sock.sendall(EVENTS)
        while not app.census.open:
            await asyncio.sleep(0.01)
        async with asyncio.timeout(20):
            while app.census.open:
                await asyncio.sleep(0.01)
    assert next(numbers) < 200


async def test_those_who_see_the_same_share_a_picture(
    served: tuple[App, tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many watch, and however often strangers ask: it is drawn twice a second at most."""
    monkeypatch.setattr("filepipe.web.dashboard.PACE", 100.0)
    dashboard = served[0].context.dashboard
    drawn = []
    monkeypatch.setattr(dashboard, "_draw", lambda local, **_: drawn.append(local) or {"n": 1})
    for _ in range(3):
        assert dashboard.picture(local=False) == {"n": 1}
    assert drawn == [False]
    for _ in range(3):
        dashboard.picture(local=True)
    assert drawn == [False, True, True, True]
    for _ in range(3):
        reader, writer = await asyncio.open_connection(*served[1])
        writer.write(EVENTS)
        await reader.readuntil(b"data: ")
        writer.close()
        await writer.wait_closed()
    assert drawn == [False, True, True, True, True]


async def test_too_many_watchers(
    served: tuple[App, tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One too many is told so, and takes the place of one who leaves."""
    monkeypatch.setattr("filepipe.web.dashboard.MOST_STREAMS", 2)
    streams = [await asyncio.open_connection(*served[1]) for _ in range(3)]
    for reader, writer in streams[:2]:
        writer.write(EVENTS)
        await reader.readuntil(b"data: ")
    reader, writer = streams[2]
    writer.write(EVENTS)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After" in head
    streams[0][1].close()
    async with asyncio.timeout(20):
        while b"HTTP/1.1 200 " not in head:
            writer.write(EVENTS)
            head = await reader.readuntil(b"\r\n\r\n")
    for _, each in streams:
        each.close()
        await each.wait_closed()


@pytest.mark.parametrize(
    ("shows", "local", "seen"),
    [("keys", False, "keys"), ("keys", True, "keys"), ("counts", False, "unnamed"),
     ("counts", True, "keys"), ("off", False, None), ("off", True, "keys")],
)  # fmt: skip
async def test_who_sees_what(
    served: tuple[App, tuple[str, int]], shows: Any, local: bool, seen: str | None
) -> None:
    """The setting, and where the caller is."""
    app, _ = served
    parts = (app.service, app.shutdown, app.context.pumps, app.plane)
    found = Dashboard(*parts, shows).picture(local=local)
    assert {name for name in ("keys", "unnamed") if name in found} == ({seen} if seen else set())
    assert "memory" in found
