"""Connections of every sort at the door of the real daemon: cut up, piled up, given up."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Daemon, eventually, read_all
from tests.web.ways import (
    GENERAL,
    PLAIN,
    ask,
    at_rest,
    descriptors,
    get,
    key,
    lines,
    put,
    read_answer,
    send_apart,
)

HEAD_TIMEOUT = 1.0
FULL = b"x" * 64 * 1024

Start = Callable[..., Daemon]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with short deadlines, on TCP and on a unix socket."""
    folder = tmp_path_factory.mktemp("door")
    daemon = Daemon(
        ["--listen", "127.0.0.1:0", "--listen", f"unix:{folder / 's'}",
         "--head-timeout", str(HEAD_TIMEOUT), "--keepalive-timeout", "1"],
        folder,
    )  # fmt: skip
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture(scope="module")
def quiet(door: Daemon) -> int:
    """How many descriptors the daemon has while nobody is connected."""
    return descriptors(door)


def connect_unix(daemon: Daemon, data: bytes) -> socket.socket:
    """A connection to the unix socket."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(str(daemon.folder / "s"))
    sock.sendall(data)
    return sock


def size_of(daemon: Daemon, path: str) -> int:
    """How many bytes there are under a key; -1 if it is free."""
    found = [entry["size"] for entry in daemon.state()["keys"] if entry["key"] == path[1:]]
    return found[0] if found else -1


# -- pieces


@pytest.mark.parametrize(
    ("cuts", "by_doorman"),
    [([], True), ([-5], True), ([-4, -3, -1], True), ([-6, -3], False), ([3, 30], False),
     ([-8], False)],
)  # fmt: skip
def test_a_request_in_pieces(door: Daemon, cuts: list[int], by_doorman: bool) -> None:
    """Head, then body, as curl does, is his; a head in pieces is aiohttp's."""
    path = key()
    data = put(path)
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    with door.connect() as sock:
        send_apart(sock, *pieces)
        answer = read_answer(sock)
    assert answer.status == 200
    assert answer.by_doorman is by_doorman
    assert ask(door, get(path)).body == b"hello"


@pytest.mark.parametrize("way", [PLAIN, GENERAL], ids=["plain", "other"])
def test_a_small_body_that_is_slow(door: Daemon, way: tuple[str, ...]) -> None:
    """Its readers see the beginning while the rest is on its way, however long that takes."""
    path = key()
    data = put(path, *way, body=b"0123456789")
    with door.connect(data[:-5]) as sender, door.connect(get(path)) as reader:
        eventually(lambda: size_of(door, path) == 5)
        assert ask(door, put(path)).status == 409
        head = reader.recv(65536)
        assert head.startswith(b"HTTP/1.1 200 ")
        time.sleep(HEAD_TIMEOUT + 0.6)
        send_apart(sender, *(bytes([byte]) for byte in data[-5:]))
        assert read_answer(sender).status == 200
        eventually(lambda: size_of(door, path) == 10)
    assert ask(door, get(path)).body == b"0123456789"


# -- several requests


def test_requests_in_one_piece(door: Daemon) -> None:
    """Each is answered, in order; not a byte is lost between doorman and aiohttp."""
    path = key()
    assert ask(door, put(path, body=b"first")).status == 200
    with door.connect(get(path) + get(path)) as sock:
        assert [read_answer(sock).body for _ in range(2)] == [b"first", b"first"]
    path = key()
    with door.connect(put(path) + get(path) + put(path)) as sock:
        assert [read_answer(sock).status for _ in range(3)] == [200, 200, 409]
    path = key()
    with door.connect() as sock:
        send_apart(sock, put(path)[:-2], put(path)[-2:] + get(path)[:9], get(path)[9:])
        assert [read_answer(sock).status for _ in range(2)] == [200, 200]
        sock.sendall(get(path))
        assert read_answer(sock).body == b"hello"


@pytest.mark.parametrize("parts", [[b""], [b"", b""], [b"P", b"UT"]])
def test_more_bytes_while_it_waits(door: Daemon, parts: list[bytes]) -> None:
    """Who asks again before the answer gets both answers."""
    path, other = key(), key()
    rest = put(other).removeprefix(b"".join(parts))
    with door.connect(get(path)) as sock:
        eventually(lambda: door.state()["waiting_readers"] == 1)
        send_apart(sock, *(part for part in parts if part), rest)
        assert ask(door, put(path, body=b"for you")).status == 200
        assert read_answer(sock).body == b"for you"
        assert read_answer(sock).status == 200
    assert ask(door, get(other)).body == b"hello"
    assert [line["status"] for line in lines(door, path, 2)] == [200, 200]


def test_a_hundred_requests_on_one_connection(door: Daemon) -> None:
    """He keeps the connection, and hands it over only when something is not his."""
    with door.connect() as sock:
        for _ in range(50):
            path = key()
            sock.sendall(put(path))
            assert read_answer(sock).by_doorman
            sock.sendall(get(path))
            answer = read_answer(sock)
            assert answer.by_doorman
            assert answer.body == b"hello"
        sock.sendall(get(path, *GENERAL))
        assert not read_answer(sock).by_doorman
        sock.sendall(get(path))
        assert read_answer(sock).body == b"hello"


# -- ends


@pytest.mark.parametrize("way", [None, PLAIN, GENERAL], ids=["fresh", "plain", "other"])
def test_an_idle_connection_is_closed(door: Daemon, way: tuple[str, ...] | None) -> None:
    """Without a first head, or without a next one, after its time and without a word."""
    with door.connect() as sock:
        if way is not None:
            sock.sendall(put(key(), *way, body=b"hello"))
            assert read_answer(sock).status == 200
        assert read_all(sock) == b""


def half_close(sock: socket.socket) -> None:
    """A FIN; the other direction stays open."""
    sock.shutdown(socket.SHUT_WR)


def reset(sock: socket.socket) -> None:
    """A RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("way", [PLAIN, GENERAL], ids=["plain", "other"])
@pytest.mark.parametrize("leave", [socket.socket.close, half_close, reset])
def test_a_reader_that_leaves_while_it_waits(
    door: Daemon, quiet: int, leave: Callable[[socket.socket], None], way: tuple[str, ...]
) -> None:
    """Nothing is left of it but one line in the log; the key is as free as before."""
    path = key()
    with door.connect(get(path, *way)) as sock:
        eventually(lambda: door.state()["waiting_readers"] == 1)
        leave(sock)
        eventually(lambda: at_rest(door, quiet))
    (line,) = lines(door, path, 1)
    assert (line["status"], line["bytes_out"]) == (499, 0)
    assert ask(door, put(path)).status == 200


@pytest.mark.parametrize("leave", [socket.socket.close, half_close, reset])
def test_a_sender_that_leaves_too_early(
    door: Daemon, quiet: int, leave: Callable[[socket.socket], None]
) -> None:
    """A body that is not all there is nothing."""
    path = key()
    with door.connect(put(path)[:-1]) as sock:
        leave(sock)
        eventually(lambda: at_rest(door, quiet))
    assert size_of(door, path) == -1


def test_a_sender_that_half_closes(door: Daemon) -> None:
    """What came whole is stored."""
    path = key()
    with door.connect(put(path)) as sock:
        half_close(sock)
        eventually(lambda: size_of(door, path) == 5)


@pytest.mark.parametrize("fields", [(), ("Connection: close",)], ids=["keep-alive", "close"])
def test_a_peer_that_never_reads(door: Daemon, quiet: int, fields: tuple[str, ...]) -> None:
    """It keeps its connection for a bounded time only."""
    path = key()
    assert ask(door, put(path, body=FULL)).status == 200
    with connect_unix(door, b"") as sock:
        for number in range(8):
            sock.sendall(get(path, *(fields if number == 7 else ())))
            assert door.state()["waiting_readers"] == 0  # and it has had its turn
        eventually(lambda: at_rest(door, quiet))
        assert len(read_all(sock)) < 8 * len(FULL)


def test_a_peer_that_reads_at_last(door: Daemon) -> None:
    """Who was only slow gets every byte."""
    path = key()
    assert ask(door, put(path, body=FULL)).status == 200
    with connect_unix(door, b"") as sock:
        for _ in range(6):
            sock.sendall(get(path))
            assert door.state()["waiting_readers"] == 0
        assert [read_answer(sock).body == FULL for _ in range(6)] == [True] * 6


def test_no_connection_is_counted_for_ever(start: Start) -> None:
    """Two thousand come and go, in all ways, below a cap that forgotten ones of any would reach."""
    daemon = start("--max-connections", "120", "--retention", "1h")
    before = descriptors(daemon)
    assert ask(daemon, put("/there")).status == 200
    ways = [b"", get("/there"), get("/there", *GENERAL), get("/nobody"), get("/nobody", *GENERAL),
            get("/there")[:9], put("/half")[:-1], b"nonsense\r\n\r\n"]  # fmt: skip
    for batch in range(40):
        socks = [daemon.connect(ways[(batch + number) % len(ways)]) for number in range(50)]
        for number, sock in enumerate(socks):
            (socket.socket.close, reset)[number % 2](sock)
        daemon.state()  # whoever came before has been accepted by now
        eventually(lambda: descriptors(daemon) <= before + 10)
    eventually(lambda: at_rest(daemon, before))
    assert ask(daemon, get("/there")).body == b"hello"
    with daemon.connect(), daemon.connect(get("/nobody")), daemon.connect(get("/nobody", *GENERAL)):
        eventually(lambda: daemon.state()["waiting_readers"] == 2)
    assert not [line for line in daemon.log() if line["event"] == "too many connections"]
    daemon.assert_clean_log()


@pytest.mark.parametrize("way", [PLAIN, GENERAL], ids=["plain", "other"])
def test_the_daemon_stops_below_idle_connections(start: Start, way: tuple[str, ...]) -> None:
    """They are closed, and it ends well."""
    daemon = start("--retention", "1h")
    with daemon.connect() as fresh, daemon.connect(put("/k", *way, body=b"")) as used:
        assert read_answer(used).status == 200
        used.sendall(get("/k", *way))
        assert read_answer(used).status == 200
        assert daemon.stop() == 0
        assert read_all(fresh) == read_all(used) == b""
    daemon.assert_clean_log()


def test_a_unix_socket(door: Daemon) -> None:
    """The same, from a peer without an address."""
    for way in (PLAIN, GENERAL):
        path = key()
        with connect_unix(door, put(path, *way, body=b"hello")) as sock:
            answer = read_answer(sock)
            assert (answer.status, answer.by_doorman) == (200, way == PLAIN)
            sock.sendall(get(path, *way))
            assert read_answer(sock).body == b"hello"
        assert [line["remote"] for line in lines(door, path, 2)] == ["", ""]
