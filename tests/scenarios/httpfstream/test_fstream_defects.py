"""Where the original fails its users: the rows of docs/decisions/httpfstream.md by number."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Daemon, eventually, start_curl
from tests.scenarios.decisions import assert_bound, assert_rows_name_tests
from tests.scenarios.httpfstream.wire import (
    ORIGINAL,
    TEXT,
    Wire,
    ask,
    masked,
)
from tests.scenarios.logs.asking import append
from tests.scenarios.peers import MIB, body_of, readers, sha, stored

APPEND = ORIGINAL.format("APPEND")
FOLLOW = ORIGINAL.format("FOLLOW")
ACKS = "Sec-WebSocket-Protocol: filepipe.append"
PAGE = Path(__file__).parents[3] / "docs/decisions/httpfstream.md"

Start = Callable[..., Daemon]


def test_the_page_names_the_tests() -> None:
    """Every row of the page, and nothing that is not there."""
    assert_bound(PAGE, Path(__file__).parent, 18)
    assert_rows_name_tests(PAGE, "On the wire", Path(__file__).parent)


def test_02_looks_hurt_nobody(shared: Daemon, path: str) -> None:
    """Hundreds of plain GETs while somebody appends: each is a whole answer, and he goes on."""
    with Wire(shared, path, APPEND) as wire, ThreadPoolExecutor(8) as pool:
        looks = []
        for number in range(300):
            wire.say(b"%04d" % number)
            looks.append(pool.submit(ask, shared, path, FOLLOW))
        for look in looks:
            answer = look.result()
            assert answer.status == 200
            assert int(answer["Content-Length"] or 0) == len(answer.body)
        assert wire.close().code == 1000
    assert ask(shared, path, FOLLOW).body == b"".join(b"%04d" % n for n in range(300))
    with Wire(shared, path, APPEND):
        pass


def test_03_who_does_not_read_costs_himself_only(start: Start) -> None:
    """Everything is stored, the others have it, and at the limit he is cut; the log says where."""
    daemon = start("--stall-timeout", "1")
    body = body_of(MIB)
    with (
        Wire(daemon, "/k", APPEND) as wire,
        Wire(daemon, "/k") as stuck,
        Wire(daemon, "/k") as well,
    ):
        assert stuck.join() + well.join() == b""
        with ThreadPoolExecutor(1) as pool:
            got = pool.submit(well.live)
            for _ in range(16):
                wire.say(body)
            eventually(lambda: stored(daemon, "k") == 16 * MIB)
            eventually(lambda: readers(daemon, "k") == 1)
            assert wire.close().code == 1000
            assert sha(got.result()) == sha(body * 16)
        cut = [line for line in daemon.log() if line["event"].startswith("a follower took nothing")]
        assert 0 < cut[0]["offset"] < 16 * MIB
    daemon.assert_clean_log()


def test_04_nothing_comes_twice_at_the_join(shared: Daemon, path: str) -> None:
    """Who joins at any moment has every byte once."""
    count = 3000
    whole = b"".join(b"%06d" % number for number in range(count))

    def follow() -> bytes:
        with Wire(shared, path) as follower:
            return follower.join() + follower.live()

    with Wire(shared, path, APPEND) as wire, ThreadPoolExecutor(12) as pool:
        followers = []
        for number in range(count):
            wire.say(b"%06d" % number)
            if number % 250 == 0:
                followers.append(pool.submit(follow))
        eventually(lambda: stored(shared, path[1:]) == len(whole))
        eventually(lambda: readers(shared, path[1:]) == len(followers))
        wire.close()
        assert {follower.result() for follower in followers} == {whole}


def test_09_unfinished_messages_are_paid_for(start: Start) -> None:
    """Memory is not exceeded by messages that never end; who sends them is told to come later."""
    daemon = start("--max-memory", "4M", "--max-message-size", "3M")
    with Wire(daemon, "/a", APPEND) as first, Wire(daemon, "/b", APPEND) as second:
        part = masked(TEXT, bytes(3 * MIB))[: 2 * MIB + 100_000]
        first.sock.sendall(part)
        eventually(lambda: daemon.state()["memory"]["used"] > 2 * MIB)
        second.sock.sendall(part)
        assert second.to_close()[-1].code == 1013
        first.sock.close()
        eventually(lambda: daemon.state()["memory"]["used"] == 0)
    daemon.assert_clean_log()


def test_11_nothing_is_listed_or_told(shared: Daemon, path: str) -> None:
    """No list of the keys, no path of this machine, no page that could run."""
    assert ask(shared, "/", listener=1).status == 404
    answer = ask(shared, "/..%2f..%2fetc/passwd", listener=1)
    assert (answer.status, answer["X-Error-Code"]) == (400, "bad_key")
    append(shared, f"{path}.html", b"<script>", "", "-H", "Content-Type: text/html")
    answer = ask(shared, f"{path}.html", listener=1)
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert (answer["Content-Disposition"] or "").startswith("attachment")


def test_12_nobody_leaves_anything_behind(shared: Daemon, path: str) -> None:
    """Followers that come and go, however they go."""
    with Wire(shared, path, APPEND) as wire:
        for number in range(60):
            follower = Wire(shared, path)
            follower.join()
            if number % 3 == 0:
                follower.reset()
            elif number % 3 == 1:
                follower.close()
            follower.sock.close()
        eventually(lambda: readers(shared, path[1:]) == 0)
        assert wire.close().code == 1000


def test_13_many_at_once(shared: Daemon, path: str) -> None:
    """40 of what brought the original down."""
    with ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(ask, shared, f"{path}{n}?verb=APPEND") for n in range(40)]
        assert {answer.result().status for answer in asked} == {426}
    assert ask(shared, "/health").status == 200


def test_15_curl_follows_an_appender(shared: Daemon, path: str) -> None:
    """Without a WebSocket, from any offset."""
    with Wire(shared, path, APPEND) as wire:
        wire.say(b"0123456789")
        eventually(lambda: stored(shared, path[1:]) == 10)
        follower = start_curl("--no-buffer", shared.url(f"{path}?follow&offset=8"))
        eventually(lambda: readers(shared, path[1:]) == 1)
        wire.say(b" live")
        wire.close()
    assert follower.communicate(timeout=30)[0] == b"89 live"


def test_17_followers_share_what_is_in_memory(shared: Daemon, path: str) -> None:
    """Forty of them hold no more of it than one."""
    message = b"x" * 4096
    with Wire(shared, path, APPEND) as wire, contextlib.ExitStack() as stack:
        followers = [stack.enter_context(Wire(shared, path)) for _ in range(40)]
        assert {follower.join() for follower in followers} == {b""}
        for _ in range(128):
            wire.say(message)
        for follower in followers:
            assert all(follower.message().data == message for _ in range(128))
        eventually(lambda: 0 < shared.state()["memory"]["used"] <= 256 * 1024)
        wire.close()


@pytest.mark.parametrize("insist", [False, True])
def test_18_a_drain(start: Start, insist: bool) -> None:
    """Who can go on is told at once where; an original may finish, until it is cut."""
    daemon = start()
    modern = Wire(daemon, "/modern?verb=APPEND", ACKS)
    original = Wire(daemon, "/original", APPEND)
    with modern, original, Wire(daemon, "/modern") as one, Wire(daemon, "/original") as two:
        assert one.join() + two.join() == b""
        modern.say(b"12345")
        assert json.loads(modern.message().data) == {"offset": 5}
        assert one.message().data == b"12345"
        daemon.process.send_signal(signal.SIGTERM)
        for wire in (modern, one):
            end = wire.until_close()[-1]
            assert (end.code, json.loads(end.reason)) == (1001, {"offset": 5})
        original.say(b"still ")
        assert two.message().data == b"still "
        if insist:
            daemon.process.send_signal(signal.SIGTERM)
            for wire in (original, two):
                end = wire.to_close()[-1]
                assert (end.code, json.loads(end.reason)) == (1001, {"offset": 6})
        else:
            original.say(b"whole")
            assert original.close().code == 1000
            assert two.live() == b"whole"
    assert daemon.process.wait(20) == 0
    daemon.assert_clean_log()
