"""What the program named Beam gets wrong, by the numbers of `docs/decisions/beam.md`."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable

import pytest

from tests.conftest import eventually, read_until
from tests.scenarios.answers import parse
from tests.scenarios.beam.conftest import LISTENERS
from tests.scenarios.mount import Mount, finished, sending, status_of
from tests.scenarios.peers import MIB, Download, Upload, at_rest, body_of, descriptors, sha

LARGE = body_of(6 * MIB)
COMPLETED = "Upload completed successfully"
IN_PROGRESS = "An upload is already in progress for this filename"
NO_UPLOAD = "No active upload stream for this file"

Offered = Callable[[Mount, str], None]


@pytest.mark.parametrize("end", [Download.leave, Download.reset])
@pytest.mark.parametrize("known", [True, False], ids=["length", "chunked"])
def test_01_no_success_for_a_part(
    root: Mount, name: str, known: bool, end: Callable[[Download], None]
) -> None:
    """The uploader sent every byte, and its downloader left with some of them untaken."""
    body = LARGE[: 1 << 18]
    with root.receiver(name, receive_buffer=4096) as download:
        eventually(lambda: root.waiting(name) == 1)
        with root.sender("PUT", name, len(body) if known else None) as upload:
            upload.send(body)
            if not known:
                upload.sock.sendall(b"0\r\n\r\n")
            assert download.begin() == 200
            download.take(1000)
            end(download)
            assert read_until(upload.sock, b"Upload failed: ").startswith(b"HTTP/1.1 502 ")


def test_01_success_means_delivered(root: Mount, name: str) -> None:
    """The uploader hears nothing while its downloader has not taken the last byte."""
    body = LARGE[: 1 << 18]
    with root.receiver(name, receive_buffer=4096) as download:
        eventually(lambda: root.waiting(name) == 1)
        with root.sender("PUT", name, len(body)) as upload:
            upload.send(body)
            assert download.begin() == 200
            upload.sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                upload.sock.recv(1)
            upload.sock.settimeout(30)
            assert download.rest() == body
            assert read_until(upload.sock, COMPLETED.encode())


def test_01_no_empty_success_after_a_timeout(hurried: Mount, name: str) -> None:
    """Nobody came for the upload; who comes later gets 404, not an empty file."""
    assert hurried.give("PUT", name, b"hello").status == 400
    answer = hurried.ask("GET", f"{name}?wait=0")
    assert (answer.status, answer.text) == (404, NO_UPLOAD)
    assert hurried.ask("GET", "/").text == "Streams waiting for download: []"


@pytest.mark.parametrize("end", [Upload.leave, Upload.reset, Upload.half_close])
@pytest.mark.parametrize(
    ("length", "sent"),
    [(5, 0), (5, 5), (len(LARGE), 0), (len(LARGE), 100_000), (None, 0), (None, 100_000)],
    ids=["head", "small", "large head", "large", "chunked head", "chunked"],
)
def test_02_an_uploader_that_leaves_is_gone(
    root: Mount, name: str, end: Callable[[Upload], None], length: int | None, sent: int,
    offered: Offered,
) -> None:  # fmt: skip
    """Within a second, whatever of its body has arrived; its name is free and not shown."""
    with root.sender("PUT", name, length) as upload:
        offered(root, name)
        if sent:
            upload.send(LARGE[:sent])
        end(upload)
        began = time.monotonic()
        eventually(lambda: root.ask("HEAD", name).status == 404)
        assert time.monotonic() - began < 1
    assert root.ask("GET", "/").text == "Streams waiting for download: []"
    assert root.ask("GET", f"{name}?wait=0").status == 404
    assert at_rest(root.daemon)


def test_02_nobody_leaves_anything_behind(root: Mount, name: str) -> None:
    """Fifty uploads and fifty downloads that come and go cost nothing afterwards."""
    before = descriptors(root.daemon)
    parties = [root.sender("PUT", f"{name}-{number}", 100_000) for number in range(50)]
    downloads = [root.receiver(f"{name}-nobody") for _ in range(50)]
    eventually(lambda: root.waiting(f"{name}-nobody") == 50)
    for number, party in enumerate([*parties, *downloads]):
        party.reset() if number % 2 else party.leave()
    eventually(lambda: at_rest(root.daemon))
    eventually(lambda: descriptors(root.daemon) <= before + 1)


@pytest.mark.parametrize("running", [False, True], ids=["waiting", "running"])
def test_03_a_second_upload_is_refused(
    front: Mount, name: str, running: bool, offered: Offered
) -> None:
    """Before its body is read; the first one is not disturbed."""
    with front.sender("PUT", name, 10) as first:
        offered(front, name)
        with contextlib.ExitStack() as stack:
            if running:
                download = stack.enter_context(front.receiver(name))
                first.send(b"hello")
                assert (download.begin(), download.take(5)) == (200, b"hello")
            with front.sender("PUT", name, len(LARGE), "Expect: 100-continue") as second:
                answer = parse(read_until(second.sock, IN_PROGRESS.encode()))
            assert (answer.status, answer.text) == (409, IN_PROGRESS)
            if not running:
                download = stack.enter_context(front.receiver(name))
                first.send(b"hello")
                assert (download.begin(), download.take(5)) == (200, b"hello")
            first.send(b"world")
            assert download.rest() == b"world"
        assert status_of(first.sock) == 200
    assert front.ask("HEAD", name).status == 404


def test_03_a_name_in_use_by_another_kind(root: Mount, name: str) -> None:
    """What `auto` keeps under the same key is not replaced, and can be downloaded."""
    auto = Mount(root.daemon, 0)
    with auto.sender("PUT", f"{name}?max-age=0", 4) as upload, root.receiver(name) as download:
        upload.send(b"ke")
        assert (download.begin(), download.take(2)) == (200, b"ke")
        answer = root.give("PUT", name, b"new")
        assert (answer.status, answer.text) == (409, "key already exists")
        upload.send(b"pt")
        assert download.rest() == b"pt"
    eventually(lambda: at_rest(root.daemon))


def test_04_the_downloader_may_come_first(front: Mount, name: str) -> None:
    """Several times in a row, under one name."""
    for number in range(3):
        download = front.start_curl(name)
        eventually(lambda: front.waiting(name) == 1)
        assert front.give("PUT", name, b"%d" % number).text == COMPLETED
        assert finished(download).body == b"%d" % number


def test_05_what_is_known_of_a_body_arrives(root: Mount, name: str) -> None:
    """Length, type, and the name that the uploader gives it."""
    headers = ("Content-Type: text/csv", 'Content-Disposition: attachment; filename="a.csv"')
    with (
        root.receiver(name) as download,
        root.sender("PUT", name, len(LARGE), *headers) as upload,
        sending(upload, LARGE),
    ):
        assert download.begin() == 200
        header = download.response.getheader
        assert header("Content-Length") == str(len(LARGE))
        assert header("Content-Type") == "text/csv"
        assert header("Content-Disposition") == 'attachment; filename="a.csv"'
        assert sha(download.rest() or b"") == sha(LARGE)


def test_06_head_takes_nothing(front: Mount, name: str, offered: Offered) -> None:
    """It tells what waits there, or 404 at once; the upload is still there afterwards."""
    assert front.ask("HEAD", name).status == 404
    with front.sender("PUT", name, 5, "Content-Type: text/x") as upload:
        offered(front, name)
        for _ in range(3):
            answer = front.ask("HEAD", name)
            assert (answer.status, answer.body) == (200, b"")
            assert (answer["Content-Type"], answer["Content-Length"]) == ("text/x", "5")
            assert answer["Content-Disposition"] == f'attachment; filename="{name[1:]}"'
        upload.send(b"hello")
        assert front.curl(name).body == b"hello"
        assert status_of(upload.sock) == 200


@pytest.mark.parametrize(
    ("path", "disposition"),
    [
        ("/a%22b.txt", r'attachment; filename="a\"b.txt"'),
        (
            "/%C3%BC%E2%82%AC.txt",
            "attachment; filename=\"__.txt\"; filename*=UTF-8''%C3%BC%E2%82%AC.txt",
        ),
        ("/a%3Bb", 'attachment; filename="a;b"'),
        ("/%3Cscript%3E", 'attachment; filename="<script>"'),
    ],
)
def test_07_a_name_breaks_no_header(front: Mount, path: str, disposition: str) -> None:
    """It is quoted, and beyond ASCII written as RFC 6266 wants it."""
    download = front.start_curl(path)
    eventually(lambda: front.give("PUT", path + "?wait=1s", b"hello").status == 200)
    assert finished(download)["Content-Disposition"] == disposition


def test_08_longer_names_are_auto_s(root: Mount) -> None:
    """Here a name is one segment; `auto` and piping take any key."""
    assert root.ask("GET", "/folder/file?wait=0").status == 404
    auto = Mount(root.daemon, 0)
    receiver = auto.start_curl("/folder/file")
    assert auto.give("POST", "/folder/file", b"hello").status == 200
    assert finished(receiver).body == b"hello"


def test_09_names_are_not_told_to_strangers(front: Mount, name: str, offered: Offered) -> None:
    """They see how many there are."""
    with front.sender("PUT", name, 5):
        offered(front, name)
        assert front.ask("GET", "/").text == f'Streams waiting for download: ["{name[1:]}"]'
        told = front.ask("GET", "/", "X-Forwarded-For: 192.0.2.1").text
        assert told == "Streams waiting for download: 1"
    eventually(lambda: front.ask("GET", "/").text.endswith("[]"))


def test_09_there_are_limits(hurried: Mount, name: str) -> None:
    """Of those who wait, and of a body."""
    uploads = [hurried.sender("PUT", f"{name}-{number}?wait=30", 5) for number in range(3)]
    eventually(lambda: hurried.ask("GET", "/").text.count('"') == 6)
    assert hurried.give("PUT", name, b"hello").status == 503
    for upload in uploads:
        upload.leave()
    downloads = [hurried.receiver(f"{name}?wait=30") for _ in range(3)]
    eventually(lambda: hurried.waiting(name) == 3)
    assert hurried.ask("GET", name).status == 503
    for download in downloads:
        download.leave()
    eventually(lambda: hurried.waiting(name) == 0)
    assert hurried.ask("PUT", name, f"Content-Length: {10 * MIB}").status == 413


def test_10_a_wait_has_its_limit(hurried: Mount, name: str) -> None:
    """An upload that nobody wants does not hold its name, nor its connection."""
    with hurried.sender("PUT", name, len(LARGE)) as upload:
        assert status_of(upload.sock) == 400
    assert hurried.ask("HEAD", name).status == 404


def test_11_a_drain(start: Callable[..., object], offered: Offered) -> None:
    """Who waits is told at once, a running pair has its time, nobody may come, exit 0."""
    front = Mount(start(*LISTENERS, "--drain-timeout", "1h"), 1)  # type: ignore[arg-type]
    with (
        front.receiver("/busy") as download,
        front.sender("PUT", "/busy", 10) as upload,
        front.sender("PUT", "/waits", len(LARGE)) as other,
    ):
        upload.send(b"hello")
        assert (download.begin(), download.take(5)) == (200, b"hello")
        waiting = front.start_curl("/nobody")
        eventually(lambda: front.waiting("/nobody") == 1)
        offered(front, "/waits")
        front.daemon.process.send_signal(signal.SIGTERM)
        answer = finished(waiting)
        assert (answer.status, answer["Retry-After"]) == (503, "5")
        answer = parse(read_until(other.sock, b"shutting down"))
        assert (answer.status, answer.text) == (503, "Upload failed: server is shutting down")
        assert front.give("PUT", "/late", b"x").status == 503
        upload.send(b"world")
        assert download.rest() == b"world"
        assert status_of(upload.sock) == 200
    assert front.daemon.process.wait(30) == 0
    front.daemon.assert_clean_log()


@pytest.mark.parametrize("way", ["kernel", "loop"])
def test_12_a_slow_downloader_loses_nothing(
    root: Mount, hurried: Mount, name: str, way: str
) -> None:
    """The uploader goes at its pace; what lies between them is bounded."""
    front = root if way == "kernel" else hurried
    with (
        front.receiver(f"{name}?wait=30", receive_buffer=4096) as download,
        front.sender("PUT", f"{name}?wait=30", len(LARGE)) as upload,
        sending(upload, LARGE),
    ):
        assert download.begin() == 200
        got = download.take(1000)
        time.sleep(0.3)  # a pause of the downloader
        state = front.daemon.state()
        assert state["memory"]["used"] + state["disk"]["used"] <= MIB
        assert sha(got + (download.rest() or b"")) == sha(LARGE)
        assert status_of(upload.sock) == 200
