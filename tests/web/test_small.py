"""A small transfer is the same by either way: answer, headers, log line and counters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.conftest import Daemon, eventually
from tests.web.ways import GENERAL, PLAIN, ask, assert_same, get, key, put, read_answer, request

KIB = 1024
PNG = "Content-Type: image/png"
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n'
    b"Content-Type: text/plain\r\n\r\nhello\r\n--b--\r\n"
)

Start = Callable[..., Daemon]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with a short wait and a limit below what is small."""
    options = ["--wait", "0.2", "--max-body-size", "70000"]
    daemon = Daemon(options, tmp_path_factory.mktemp("small"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon whose readers wait for long."""
    daemon = Daemon([], tmp_path_factory.mktemp("patient"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@dataclass(frozen=True)
class Case:
    """Requests for a path; `doorman` says whether the last one is his to answer."""

    name: str
    requests: Callable[[str, tuple[str, ...]], list[bytes]]
    status: int
    doorman: bool = True


TYPES = [
    "", "text/html", "TEXT/HTML; charset=utf-8", "text/plain", "text/plain;charset=utf-8",
    "image/png", "image/svg+xml", "application/pdf", "no type", "a/b, c/d", 'a/b; c="d',
    "text/plain; charset", "x/" + "y" * 300, "multipart/form-data", "multipart/mixed; boundary=b",
    "multipart/form-data; boundary=", "Multipart/Form-Data; boundary=b",
]  # fmt: skip
GOOD_HOSTS = [
    "LOCALHOST",
    "localhost:80",
    "127.0.0.1:65535",
    "[::1]",
    "a.localhost:1",
    "localhost:",
]
BAD_HOSTS = {
    "": 400, "a b": 400, "localhost:65536": 400, "localhost:x": 400, "[::1": 400,
    "me@localhost": 400, "localhost/x": 400, "evil.example": 421, "192.0.2.1": 421,
    "localhost.evil.example": 421,
}  # fmt: skip
IS_FORM = "Content-Type: multipart/form-data; boundary=b"
NAMED = "Content-Disposition: attachment; filename*=utf-8''%c3%a9%22"
ZIPPED = "Content-Encoding: gzip"
FULL = b"x" * 64 * KIB

CASES = [
    Case("put", lambda k, w: [put(k, *w)], 200),
    Case("put of nothing", lambda k, w: [put(k, *w, body=b"")], 200),
    Case("put of 64 KiB", lambda k, w: [put(k, *w, body=FULL)], 200),
    Case("put of a byte more", lambda k, w: [put(k, *w, body=FULL + b"x")], 200, False),
    Case("put that closes", lambda k, w: [put(k, *w, "Connection: close")], 200),
    Case("put without a length", lambda k, w: [request("PUT", k, *w)], 200, False),
    Case("put of a form's file", lambda k, w: [put(k, IS_FORM, *w, body=FORM)], 200, False),
    Case("conflict", lambda k, w: [put(k), put(k, *w, body=b"again")], 409),
    Case("get", lambda k, w: [put(k), get(k, *w)], 200),
    Case("get that closes", lambda k, w: [put(k), get(k, *w, "Connection: close")], 200),
    Case("get again", lambda k, w: [put(k), get(k), get(k, *w)], 200),
    Case("get of nothing", lambda k, w: [put(k, body=b""), get(k, *w)], 200),
    Case("get of an empty image", lambda k, w: [put(k, PNG, body=b""), get(k, *w)], 200),
    Case("get of 64 KiB", lambda k, w: [put(k, body=FULL), get(k, *w)], 200),
    Case("get of a byte more", lambda k, w: [put(k, body=FULL + b"x"), get(k, *w)], 200, False),
    Case("get of nobody's", lambda k, w: [get(k, *w)], 404),
    Case("get of a named file", lambda k, w: [put(k, NAMED), get(k, *w)], 200),
    Case("get of what is encoded", lambda k, w: [put(k, ZIPPED, PNG), get(k, *w)], 200),
    Case("get of a form's file", lambda k, w: [put(k, IS_FORM, body=FORM), get(k, *w)], 200),
    Case("get of what file-pipe took", lambda k, w: [put("/-/file-pipe" + k), get(k, *w)], 200),
    *(
        Case(kind[:40], lambda k, w, t=kind: [put(k, f"Content-Type: {t}", *w), get(k, *w)], 200)
        for kind in TYPES
    ),
    *(
        Case(f"put to {host}", lambda k, w, h=host: [put(k, *w, host=f"Host: {h}")], status)
        for host, status in {**dict.fromkeys(GOOD_HOSTS, 200), **BAD_HOSTS}.items()
    ),
    *(
        Case(f"get from {host}", lambda k, w, h=host: [get(k, *w, host=f"Host: {h}")], status)
        for host, status in BAD_HOSTS.items()
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_same_by_either_way(small: Daemon, case: Case) -> None:
    """One more header changes nothing."""
    assert_same(small, case.requests, case.status, by_doorman=case.doorman)


RESERVED = {
    "/help": 200, "/version": 200, "/health": 200, "/ready": 200, "/noscript": 200,
    "/robots.txt": 200, "/favicon.ico": 404, "/channels": 404, "/channels/a": 404,
    "/upload/b": 405, "/files/c/d": 404, "/streams": 400,
}  # fmt: skip


@pytest.mark.parametrize("path", RESERVED)
def test_reserved_names(small: Daemon, path: str) -> None:
    """The doorman leaves them alone."""
    refused = 405 if path.startswith(("/channels/", "/upload/")) else 400
    refused = 404 if path.startswith("/files/") else refused
    for data, status in ((get(path), RESERVED[path]), (put(path), refused)):
        answer = ask(small, data)
        assert answer.status == status
        assert not answer.by_doorman


@pytest.mark.parametrize("size", [512, 513, 1500])
def test_long_keys(small: Daemon, size: int) -> None:
    """A key may have 512 bytes."""

    def long(path: str) -> str:
        return "/" + "x" * (size - len(path)) + path

    good = size == 512
    assert_same(small, lambda k, w: [put(long(k), *w)], 200 if good else 400)
    assert_same(small, lambda k, w: [get(long(k), *w)], 404 if good else 400)


def test_a_body_that_is_too_large(start: Start) -> None:
    """What exceeds the limit of an object is refused."""
    daemon = start("--max-body-size", "1000")
    for size in (0, 1000, 1001, 64 * KIB):
        body = b"x" * size
        assert_same(daemon, lambda k, w: [put(k, *w, body=body)], 200 if size <= 1000 else 413)  # noqa: B023


def test_too_many_keys(start: Start) -> None:
    """There is no room for one more key, nor for one more reader."""
    daemon = start("--max-keys", "1")
    ask(daemon, put("/first"))
    with daemon.connect(get("/second")):
        eventually(lambda: daemon.state()["waiting_readers"] == 1)
        assert_same(daemon, lambda k, w: [put(k, *w)], 503)
        assert_same(daemon, lambda k, w: [get(k, *w)], 503)


def test_a_public_url(start: Start) -> None:
    """The receipt begins with it."""
    daemon = start("--public-url", "http://here.example/")
    assert_same(daemon, lambda k, w: [put(k, *w)], 200)
    assert ask(daemon, put("/k")).body == b"http://here.example/k\n"


def test_a_short_retention(start: Start) -> None:
    """A key goes some time after its reader has left."""
    daemon = start("--retention", "0.3", "--wait", "0.1")
    for fields in (PLAIN, GENERAL):
        path = key()
        assert ask(daemon, put(path)).status == 200
        assert ask(daemon, get(path, *fields)).body == b"hello"
        eventually(lambda: not daemon.state()["channels"])
        assert ask(daemon, get(path, *fields)).status == 404


@pytest.mark.parametrize("reader", [PLAIN, GENERAL], ids=["plain reader", "other reader"])
@pytest.mark.parametrize("writer", [PLAIN, GENERAL], ids=["plain writer", "other writer"])
@pytest.mark.parametrize("mounted", ["", "/-/file-pipe"])
def test_a_reader_that_waits(
    patient: Daemon, reader: tuple[str, ...], writer: tuple[str, ...], mounted: str
) -> None:
    """Whoever waits gets what comes, by whichever way and protocol either of them came."""
    path = key()
    with (
        patient.connect(get(mounted + path, *reader)) as early,
        patient.connect(get(path)) as other,
    ):
        eventually(lambda: patient.state()["waiting_readers"] == 2)
        assert ask(patient, put(path, *writer)).status == 200
        answers = read_answer(early), read_answer(other)
        assert [answer.body for answer in answers] == [b"hello", b"hello"]
        if not mounted:
            assert answers[0].timeless == answers[1].timeless
    with patient.connect(get(path, *reader)) as late:
        assert read_answer(late).body == b"hello"
    path = key()
    with patient.connect(get(path, *reader)) as early:
        eventually(lambda: patient.state()["waiting_readers"] == 1)
        assert ask(patient, put(mounted + path, *writer)).status == 200
        assert read_answer(early).body == b"hello"


def test_while_it_drains(start: Start) -> None:
    """New uploads and those who wait are refused, what is there is still given."""
    daemon = start("--drain-timeout", "40")
    ask(daemon, put("/there"))
    with (
        daemon.connect(put("/busy", body=b"x" * 100_000)[:-1]),
        daemon.connect(get("/a")) as plain, daemon.connect(get("/b", *GENERAL)) as general,
    ):  # fmt: skip
        eventually(lambda: daemon.state()["waiting_readers"] == 2)
        daemon.process.terminate()
        waited = read_answer(plain), read_answer(general)
        assert [answer.status for answer in waited] == [503, 503]
        assert waited[0].body == waited[1].body
        assert waited[0].timeless == waited[1].timeless
        assert waited[0]["Retry-After"] == "5"
        assert_same(daemon, lambda k, w: [put(k, *w)], 503)
        assert_same(daemon, lambda k, w: [get(k, *w)], 503)
        there, there_x = ask(daemon, get("/there")), ask(daemon, get("/there", *GENERAL))
        assert (there.status, there_x.status) == (200, 200)
        assert (there.by_doorman, there_x.by_doorman) == (True, False)
    assert daemon.process.wait(30) == 0
    daemon.assert_clean_log()


def test_without_room_in_memory(start: Start) -> None:
    """What memory has no room for goes to the disk, by way of aiohttp."""
    daemon = start("--max-memory", "10K", "--spill-threshold", "1M")
    bodies = {key(): bytes([65 + number]) * 6 * KIB for number in range(4)}
    for number, (path, body) in enumerate(bodies.items()):
        answer = ask(daemon, put(path, body=body))
        assert answer.status == 200
        assert answer.by_doorman is (number == 0)
    state = daemon.state()
    assert state["memory"]["used"] + state["disk"]["used"] == 4 * 6 * KIB
    assert state["disk"]["used"] >= 3 * 6 * KIB
    for path, body in bodies.items():
        answer = ask(daemon, get(path))
        assert answer.by_doorman
        assert answer.body == body
    assert_same(daemon, lambda k, w: [put(k, *w, body=b"x" * 11 * KIB)], 200, by_doorman=False)
    daemon.assert_clean_log()


def test_nothing_stays_in_memory(start: Start) -> None:
    """With a threshold of nothing only what is empty is stored at the door."""
    daemon = start("--spill-threshold", "0")
    assert_same(daemon, lambda k, w: [put(k, *w)], 200, by_doorman=False)
    assert_same(daemon, lambda k, w: [put(k, *w, body=b"")], 200)
    assert_same(daemon, lambda k, w: [put(k), get(k, *w)], 200)
    assert_same(daemon, lambda k, w: [put(k, body=FULL), get(k, *w)], 200)
    daemon.assert_clean_log()


def test_without_any_room(start: Start) -> None:
    """Where neither memory nor disk has room, an upload is refused and leaves nothing."""
    daemon = start("--max-memory", "10K", "--max-disk", "10K")
    body = b"x" * 20 * KIB
    assert_same(daemon, lambda k, w: [put(k, *w, body=body)], 503, by_doorman=False)
    assert_same(daemon, lambda k, w: [put(k, *w, body=b"")], 200)
    state = daemon.state()
    assert state["memory"]["used"] + state["disk"]["used"] == 0
    daemon.assert_clean_log()
