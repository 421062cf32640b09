"""Uploads on a share of a real Samba, which goes away, hangs and comes back meanwhile."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import smbd
from tests.between import Between
from tests.conftest import Daemon, eventually, read_until
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.resumable.peer import PARTIAL, Client, get
from tests.scenarios.uploads.api import ENVIRONMENT, KEY, LISTENERS, Api, Made
from tests.scenarios.uploads.conftest import Launch
from tests.smbd import Smbd

BODY = body_of(5 * MIB + 17)
HIDDEN = ".filepipe-parts"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Smbd]:
    """A server that these tests may stop, as long as they start it again."""
    smbd.need()
    server = Smbd(tmp_path_factory.mktemp("samba"))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def between(server: Smbd) -> Iterator[Between]:
    """A proxy between the daemon and the server."""
    proxy = Between(server.port)
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def api(server: Smbd, between: Between, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A daemon that keeps its uploads there."""
    environment = {**ENVIRONMENT, **server.environment("up loads", between.port)}
    folder = tmp_path_factory.mktemp("daemon")
    api = Api(Daemon(list(LISTENERS), folder, env=environment))
    yield api
    assert api.daemon.stop() == 0
    text = api.daemon.log_path.read_text()
    assert "Traceback" not in text, text
    assert smbd.PASSWORD not in text
    assert smbd.PASSWORD.replace(" ", "+") not in text


@pytest.fixture
def root(server: Smbd) -> Path:
    """Where finished files are."""
    return server.share / "up loads"


def finished(root: Path) -> set[str]:
    """The paths of all files that can be seen."""
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and HIDDEN not in path.parts
    }


def put_until_stored(made: Made, number: int, seconds: float = 40) -> int:
    """Send a part again and again, as a client does; how often that was."""
    deadline = time.monotonic() + seconds
    for count in range(1, 10_000):
        reply = made.put(number)
        if reply.status == 200:
            return count
        assert reply.status in (500, 503), reply
        assert reply.headers["Retry-After"] if reply.status == 503 else True
        assert time.monotonic() < deadline, reply
        time.sleep(0.05)
    raise AssertionError


def complete_until_done(made: Made) -> dict[str, object]:
    """Complete it, again where the share was away."""
    replies = []

    def done() -> bool:
        replies.append(made.complete())
        return replies[-1].status == 200

    eventually(done, 40)
    return replies[-1].json


def test_an_upload(api: Api, root: Path) -> None:
    """It is read while it arrives, gets its name on the share, and goes when it is removed."""
    made = api.begin(BODY, "films/a film.mov", checksum_sha256=sha(BODY))
    request = (
        f"GET /upload/{made.id}/content HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\n\r\n"
    )
    with api.daemon.connect(request.encode(), listener=1) as reader:
        assert read_until(reader, b"\r\n\r\n").startswith(b"HTTP/1.1 200")
        got = b""
        for number in (0, 2, 1, 5, 4, 3):
            assert made.put(number).status == 200
            assert finished(root) == set()
        while len(got) < len(BODY):
            got += reader.recv(1 << 20)
    assert got == BODY
    answer = made.complete().json
    assert (answer["final_path"], answer["storage_backend"]) == ("films/a film.mov", "smb")
    assert (root / "films/a film.mov").read_bytes() == BODY
    part = made.content(Range="bytes=1000000-1000009")
    assert (part.status, part.body) == (206, BODY[1_000_000:1_000_010])
    again = api.upload(b"another", "films/a film.mov")
    assert again.status()["final_path"] == "films/a film (1).mov"
    for each in (made, again):
        assert each.cancel().status == 200
    assert finished(root) == set()


def test_names(api: Api, root: Path) -> None:
    """What only SMB cannot have is mapped, what Windows cannot have is refused at the beginning."""
    made = api.upload(b"odd", 'who: "me?"')
    assert made.status()["final_path"] == 'who: "me?"'
    assert made.content().body == b"odd"
    assert made.cancel().status == 200
    for name in ("con", "a/LPT1.txt"):
        sentence = api.init(filename=name, total_size=1).refused(400, "bad_request")
        assert "is a device on Windows" in sentence
    assert finished(root) == set()


def test_the_password_is_shown_nowhere(api: Api) -> None:
    """Not by the health, and not by what the daemon says of an upload."""
    health = api.call("GET", "/health")
    assert health.status == 200
    assert smbd.PASSWORD not in json.dumps(health.json)


def test_the_connection_is_cut_again_and_again(api: Api, between: Between, root: Path) -> None:
    """Clients that try again bring everything there; nothing that is not whole has a name."""
    made = [api.begin(body_of(3 * MIB, seed), f"cut/{seed}") for seed in range(3)]
    stop = threading.Event()
    seen = between.accepted

    def disturb() -> None:
        while not stop.wait(0.05) and between.accepted < seen + 6:
            between.cut_after(1_700_000)
            assert all((root / name).stat().st_size == 3 * MIB for name in finished(root))

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    try:
        senders = [
            threading.Thread(target=put_until_stored, args=(each, number))
            for each in made
            for number in (2, 0, 1)
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(60)
        paths = [complete_until_done(each)["final_path"] for each in made]
    finally:
        stop.set()
        disturbing.join()
        between.heal()
    assert between.accepted > seen
    for each, path in zip(made, paths, strict=True):
        assert (root / str(path)).read_bytes() == each.body
        assert each.cancel().status == 200


def test_the_server_is_killed_in_the_middle(api: Api, server: Smbd, root: Path) -> None:
    """What was acknowledged before is there after it has started again; the rest is sent again."""
    made = api.begin(BODY, "killed", checksum_sha256=sha(BODY))
    for number in (0, 3):
        assert made.put(number).status == 200
    sending = threading.Thread(target=put_until_stored, args=(made, 1))
    sending.start()
    server.kill()
    stored = [part["status"] for part in made.status()["parts"]]
    assert (stored[0], stored[3]) == ("uploaded", "uploaded")
    assert finished(root) == set()
    server.start()
    sending.join(60)
    for number in (2, 4, 5):
        put_until_stored(made, number)
    complete_until_done(made)
    assert (root / "killed").read_bytes() == BODY
    assert made.cancel().status == 200


def test_the_server_is_away(api: Api, server: Smbd, between: Between) -> None:
    """Health says so at once, and whoever sends meanwhile is served when it is back."""
    made = api.begin(b"body", "away")
    sender = threading.Thread(target=put_until_stored, args=(made, 0))
    server.kill()
    between.cut()
    try:
        health = api.call("GET", "/health")
        assert health.status == 503
        assert "SMB server" in health.body.decode()
        sender.start()
    finally:
        server.start()
    sender.join(60)
    complete_until_done(made)
    eventually(lambda: api.call("GET", "/health").status == 200)
    assert made.cancel().status == 200


def test_the_daemon_is_killed(launch: Launch, server: Smbd, tmp_path: Path) -> None:
    """Its next start has the folder at once, and goes on where it was."""
    environment = server.environment("killed daemon")
    api = launch(env=environment)
    made = api.begin(BODY, "whole", checksum_sha256=sha(BODY))
    for number in (5, 0, 2):
        assert made.put(number).status == 200
    api.daemon.kill()
    api.daemon.log_path.rename(tmp_path / "log before")
    again = Daemon(list(LISTENERS), api.daemon.folder, env={**ENVIRONMENT, **environment})
    try:
        api.daemon = again
        parts = [part["status"] for part in made.status()["parts"]]
        assert parts == ["uploaded", "pending", "uploaded", "pending", "pending", "uploaded"]
        for number in (1, 3, 4):
            assert made.put(number).status == 200
        made.complete()
        eventually(lambda: made.status()["status"] == "complete")
        assert (server.share / "killed daemon/whole").read_bytes() == BODY
    finally:
        again.kill()


def test_a_wrong_account_is_one_line(
    launch: Callable[..., Api], server: Smbd, tmp_path: Path
) -> None:
    """A daemon that the server does not take does not start, and says why."""
    with pytest.raises(AssertionError, match="the SMB server refuses the account") as raised:
        launch(env=server.environment() | {"SMB_PASS": "wrong-password"})
    assert "wrong-password" not in str(raised.value)


def test_a_resumable_upload(api: Api, between: Between) -> None:
    """One that grows is read at its key, told how far it is, and gone on with after losses."""
    client, body = Client(api.daemon), body_of(6 * MIB, 7)
    made = client.begin(body[:MIB], "/grows")
    with client.open("GET", "/grows", {}) as reader:
        assert reader.head()[0] == 200
        line = client.open(
            "PATCH", made.location,
            {"Content-Length": str(5 * MIB), **client.fields(True, MIB, Content_Type=PARTIAL)},
            body[MIB : 2 * MIB],
        )  # fmt: skip
        eventually(lambda: int(client.ask("HEAD", "/grows", {})["Upload-Offset"] or 0) == 2 * MIB)
        assert reader.sock.recv(1)  # what is there is read meanwhile
    line.end()
    for size in (1_500_000, 2_500_000):
        offset, _ = client.state(made.location)
        assert offset >= MIB
        between.cut_after(size)
        reply = client.append(made.location, offset, body[offset:], complete=True)
        assert (reply.status, reply["X-Error-Code"]) == (503, "storage_away")
        assert reply["Retry-After"]
    offset, complete = client.state(made.location)
    assert not complete
    assert client.append(made.location, offset, body[offset:], complete=True).status == 200
    assert get(api.daemon, "/grows").body == body


def test_a_start_without_the_server(launch: Launch, server: Smbd, tmp_path: Path) -> None:
    """A daemon starts, knows what it knew, and goes on when the server is there."""
    environment = server.environment("start")
    api = launch(env=environment)
    made, done = api.begin(BODY, "whole"), api.upload(b"done", "done")
    client = Client(api.daemon)
    grows = client.begin(b"123", "/grows")
    assert made.put(1).status == 200
    assert api.daemon.stop() == 0
    api.daemon.log_path.rename(tmp_path / "log before")
    server.kill()
    try:
        again = Daemon(list(LISTENERS), api.daemon.folder, env={**ENVIRONMENT, **environment})
        api.daemon = client.daemon = again
        assert api.call("GET", "/health").status == 503
        assert made.status()["parts"][1]["status"] == "uploaded"
        assert client.state(grows.location) == (3, False)
    finally:
        server.start()
    try:
        for number in (0, 2, 3, 4, 5):
            put_until_stored(made, number)
        complete_until_done(made)
        assert (server.share / "start/whole").read_bytes() == BODY
        assert done.content().body == b"done"
        assert client.append(grows.location, 3, b"456", complete=True).status == 200
        assert get(again, "/grows").body == b"123456"
    finally:
        again.kill()
