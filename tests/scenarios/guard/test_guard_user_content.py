"""What strangers upload: it acts in no browser, and whatever its labels, it can be had back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Daemon, eventually
from tests.scenarios.answers import Answer, ask, assert_refused, parse, raw, talk, upload
from tests.scenarios.peers import MIB, Download, Upload, stored

SANDBOX = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
ACTIVE = [
    "text/html", "text/html; charset=utf-8", "TEXT/HTML", "application/xhtml+xml", "image/svg+xml",
    "text/xml", "application/xml", "application/pdf", "text/javascript", "application/javascript",
    "application/json", "text/css", "text/vnd.wap.wml", "application/x-shockwave-flash",
    "multipart/x-mixed-replace", "text/plainx", "a/b",
]  # fmt: skip
INERT = ["text/plain", "text/plain; charset=utf-8", "image/png", "Image/JPEG", "video/mp4"]

_numbers = itertools.count()


@pytest.fixture(scope="module", params=["relay", "no-relay"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    """A daemon whose keys last, with both protocols."""
    folder = tmp_path_factory.mktemp("store")
    listen = ("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0=file-pipe")
    daemon = Daemon([f"--{request.param}", "--wait", "0", *listen], folder)
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture
def path() -> str:
    """The path of a key that no other test uses."""
    return f"/content-{next(_numbers)}"


def assert_sandboxed(answer: Answer) -> None:
    """All four headers, each once."""
    assert {name: answer[name] for name in SANDBOX} == SANDBOX


@pytest.mark.parametrize("size", [0, 5, 70_000, 2 * MIB])
def test_every_way_to_get(store: Daemon, path: str, size: int) -> None:
    """The whole, a part, its head, and the word that it has not changed."""
    upload(store, path, bytes(size), "--header", "Content-Type: text/html")
    answers = [
        ask(store, path),
        ask(store, path, "--head"),
        ask(store, path, "--header", "If-None-Match: *"),
        ask(store, f"/-/auto{path}"),
        ask(store, f"/-/file-pipe{path}"),
        ask(store, path, listener=1),
    ]
    if size:
        answers += [ask(store, path, "--range", "1-"), ask(store, path, "--range", "-3")]
    for answer in answers:
        assert_sandboxed(answer)
    assert {answer.status for answer in answers} <= {200, 206, 304}
    assert all(
        (answer["Content-Disposition"] or "").startswith("attachment") for answer in answers[:4]
    )


@pytest.mark.parametrize("length", [None, 2 * MIB], ids=["chunked", "length"])
def test_while_it_grows(store: Daemon, path: str, length: int | None) -> None:
    """A live reader is no less careful."""
    with Upload(store, path, length, "Content-Type: text/html") as sender:
        sender.send(bytes(MIB))
        eventually(lambda: stored(store, path[1:]) == MIB)
        with Download(store, path) as whole, Download(store, path, "Range: bytes=5-") as part:
            assert (whole.begin(), part.begin()) == (200, 206)
            for name, value in SANDBOX.items():
                assert whole.response.getheader(name) == part.response.getheader(name) == value


@pytest.mark.parametrize("kind", ACTIVE)
def test_what_could_act(store: Daemon, path: str, kind: str) -> None:
    """A browser saves it, and shows it nowhere."""
    upload(store, path, b"<script>alert(1)</script>", "--header", f"Content-Type: {kind}")
    answer = ask(store, path)
    assert answer["Content-Type"] == kind
    assert (answer["Content-Disposition"] or "").startswith('attachment; filename="content-')


@pytest.mark.parametrize("kind", INERT)
def test_what_cannot_act(store: Daemon, path: str, kind: str) -> None:
    """A text or a picture may be looked at."""
    upload(store, path, b"hello", "--header", f"Content-Type: {kind}")
    answer = ask(store, path)
    assert (answer["Content-Disposition"] or "inline").startswith("inline")
    assert_sandboxed(answer)


@pytest.mark.parametrize("size", [5, 2 * MIB])
@pytest.mark.parametrize("listener", [0, 1], ids=["auto", "file-pipe"])
def test_no_service_worker(store: Daemon, path: str, size: int, listener: int) -> None:
    """No stored script gets between a browser and this origin."""
    upload(store, path, bytes(size), "--header", "Content-Type: text/javascript")
    header = ("--header", "Service-Worker: script")
    answer = ask(store, path, *header, listener=listener)
    assert answer.status == 403
    assert b"service worker" in answer.body
    assert ask(store, path).status == 200


def test_no_answer_is_sniffed(store: Daemon) -> None:
    """Our own pages and refusals say what they are, and that this is final."""
    for page in ("/", "/help", "/version", "/robots.txt", "/health", "/ready", "/state", "/metrics",
                 "/none", "/streams/k", "/a//b", "/-/none/k"):  # fmt: skip
        answer = ask(store, page)
        assert answer["X-Content-Type-Options"] == "nosniff", page
        assert answer["Content-Type"], page


# -- labels: whatever they are, the object can be had back, with sound headers

# every byte that does not end a line
_lines = st.binary(max_size=300).map(
    lambda data: bytes(byte for byte in data if byte not in b"\r\n\0").strip(b" \t")
)
_nasty = st.sampled_from(
    [b'"', b"\\", b";", b"\x7f", b"\x1b[2J", b"\xc2\x85", b"\xff\xfe", b"\xe2\x80\xae", b"%0d%0a",
     b"%00", b"\xed\xa0\x80", b"../", b"C:\\", b"filename*=UTF-8''", b"a/b", b"=", b",", b"\t",
     b"x"]
)  # fmt: skip
_texts = st.lists(_nasty, max_size=12).map(lambda pieces: b"".join(pieces).strip(b" \t")) | _lines


def labelled(name: bytes, value: bytes, key: str) -> bytes:
    """An upload of "hello" with one label."""
    head = b"PUT %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\n"
    return head % key.encode() + name + b": " + value + b"\r\n\r\nhello"


def assert_had_back(daemon: Daemon, key: str, body: bytes) -> None:
    """The object, and a head in which nothing stands that no head can hold."""
    for listener in (0, 1):
        data = daemon.talk(raw(f"GET {key} HTTP/1.1"), listener)
        answer = parse(data)
        assert (answer.status, answer.body) == (200, body)
        assert answer["Content-Type"]
        assert answer["Content-Disposition"] or listener
        for line in data.partition(b"\r\n\r\n")[0].split(b"\r\n"):
            line.decode("utf-8")
            assert not any(byte < 32 or byte == 127 for byte in line), line


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([b"Content-Type", b"Content-Encoding", b"Content-Disposition"]), _texts)
def test_any_label(store: Daemon, name: bytes, value: bytes) -> None:
    """A label of any bytes is kept, mended or dropped; the object is never lost by it."""
    key = f"/label-{next(_numbers)}?max-age=1"
    if name == b"Content-Disposition":
        value = b'attachment; filename="' + value
    answer = parse(store.talk(labelled(name, value, key)))
    if any((byte < 32 and byte != 9) or byte == 127 for byte in value):
        assert answer.status == 400  # no head can hold it
        return
    assert answer.status == 200
    assert_had_back(store, key.partition("?")[0], b"hello")


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(_texts)
def test_any_name_in_a_form(store: Daemon, name: bytes) -> None:
    """The same for the name of a file in a form; a broken form is refused as one."""
    key = f"/form-{next(_numbers)}?max-age=1"
    body = (
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="' + name + b'"\r\n'
        b"Content-Type: " + name + b"\r\n\r\nhello\r\n--x--\r\n"
    )
    headers = ("Content-Type: multipart/form-data; boundary=x", f"Content-Length: {len(body)}")
    answer = parse(store.talk(raw(f"PUT {key} HTTP/1.1", *headers, body=body)))
    if answer.status == 200:
        assert_had_back(store, key.partition("?")[0], b"hello")
    else:
        assert_refused(answer, 400, "multipart")


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\0"])
def test_a_label_that_would_end_its_line(store: Daemon, path: str, end: bytes) -> None:
    """What could begin another header is broken off at the door."""
    value = b'attachment; filename="a' + end + b'X-Evil: yes"'
    assert parse(store.talk(labelled(b"Content-Disposition", value, path))).status in (200, 400)
    answer = talk(store, raw(f"GET {path} HTTP/1.1"))
    assert answer["X-Evil"] is None
    if end != b"\r\n":  # a whole line of its own is the sender's own header
        assert answer.status == 404
