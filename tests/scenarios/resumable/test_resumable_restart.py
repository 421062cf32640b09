"""The daemon goes, also without a word: what was told is there afterwards."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable

from tests.conftest import Daemon, eventually, read_all
from tests.scenarios.peers import MIB, body_of
from tests.scenarios.resumable.peer import PARTIAL, Client, get

Restart = Callable[..., Daemon]


def test_killed(daemon: Daemon, restart: Restart) -> None:
    """Killed during an append, what was acknowledged is there, and the rest can be sent."""
    client, body = Client(daemon), body_of(24 * MIB)
    made = client.begin(body[:MIB], "/killed", Want_Repr_Digest="sha-256=1", Content_Type="a/b")
    done = client.ask("PUT", "/whole", client.fields(complete=True), b"whole")
    said = client.fields(True, MIB, Content_Type=PARTIAL)
    framing = {"Content-Length": str(len(body) - MIB)}
    line = client.open("PATCH", made.location, {**framing, **said}, body[MIB : 8 * MIB])
    eventually(lambda: int(client.ask("HEAD", "/killed", {})["Upload-Offset"] or 0) > 4 * MIB)
    daemon.kill()
    line.end()
    client = Client(restart(daemon))
    offset, complete = client.state(made.location)
    assert (MIB <= offset <= 8 * MIB, complete) == (True, False)
    last = client.append(made.location, offset, body[offset:], complete=True)
    assert last.status == 200
    found = get(client.daemon, "/killed")
    assert hashlib.sha256(found.body).digest() == hashlib.sha256(body).digest()
    assert found["Content-Type"] == "a/b"
    assert found["ETag"] == last["ETag"]
    assert last["Repr-Digest"] is not None
    kept = get(client.daemon, "/whole")
    assert (kept.body, kept["ETag"]) == (b"whole", done["ETag"])
    client.daemon.assert_clean_log()


def test_stopped(start: Callable[..., Daemon], restart: Restart) -> None:
    """A stop cuts who does not end, and keeps what they sent; the last answer can be had later."""
    daemon = start("--drain-timeout", "0.3")
    client = Client(daemon)
    made = client.begin(b"123", "/stopped")
    done = client.begin(b"", "/done")
    assert client.append(done.location, 0, b"done", complete=True).status == 200
    said = client.fields(False, 3, Content_Type=PARTIAL)
    line = client.open("PATCH", made.location, {"Content-Length": "9", **said}, b"456")
    eventually(lambda: client.ask("HEAD", "/stopped", {})["Upload-Offset"] == "6")
    daemon.process.send_signal(signal.SIGTERM)
    eventually(lambda: any(entry["event"] == "draining" for entry in daemon.log()))
    assert b" 200 " not in read_all(line.sock)
    line.end()
    assert daemon.process.wait(20) == 0
    client = Client(restart(daemon))
    assert client.state(made.location) == (6, False)
    assert client.append(made.location, 6, b"789", complete=True).status == 200
    assert get(client.daemon, "/stopped").body == b"123456789"
    again = client.append(done.location, 4, b"", complete=True)
    assert (again.status, again["Upload-Complete"]) == (200, "?1")
    client.daemon.assert_clean_log()
