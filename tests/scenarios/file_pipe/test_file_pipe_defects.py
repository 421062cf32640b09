"""What the program named file-pipe gets wrong, by the numbers of `docs/decisions/file-pipe.md`."""

from __future__ import annotations

import contextlib
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Daemon, curl, eventually, start_curl
from tests.scenarios.file_pipe.front import LISTENERS, Answer, Front, file_of
from tests.scenarios.peers import MIB, Download, Upload, body_of, descriptors, sha

BODY = body_of(3 * MIB)
HALF = len(BODY) // 2
FORM = "Content-Type: multipart/form-data; boundary=b"
FILE = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n'

Launch = Callable[..., Front]
ENDS: list[Callable[[Upload], None]] = [Upload.reset, Upload.leave, Upload.half_close]


def resident(daemon: Daemon) -> int:
    """Bytes of memory that the process has."""
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_01_a_cut_upload_never_looks_whole(
    root: Front, key: str, end: Callable[[Upload], None], version: str
) -> None:
    """A chunked upload that dies cuts its readers, and nobody gets its part afterwards."""
    with root.upload(key, None) as upload, root.download(key, version=version) as reader:
        upload.send(BODY[:HALF])
        assert reader.begin() == 200
        reader.take(1000)
        end(upload)
        assert reader.rest() is None
    with root.download(key) as late:
        eventually(lambda: root.waiting() == 1)
        root.put(key, b"again")
        assert (late.begin(), late.rest()) == (200, b"again")


@pytest.mark.parametrize("end", ENDS)
def test_02_a_late_reader_is_not_left_hanging(
    each_front: Front, key: str, end: Callable[[Upload], None]
) -> None:
    """With a known length as well: live readers are cut, late ones wait for the next upload."""
    with each_front.upload(key, len(BODY)) as upload, each_front.download(key) as reader:
        upload.send(BODY[:HALF])
        assert reader.begin() == 200
        reader.take(1000)
        end(upload)
        assert reader.rest() is None
    with each_front.download(key) as late:
        eventually(lambda: each_front.waiting() == 1)
        each_front.put(key, b"again")
        assert (late.begin(), late.rest()) == (200, b"again")


def test_04_a_reader_before_a_form(root: Front, key: str) -> None:
    """A reader that waits sees the file of a form, not the form."""
    reader = start_curl("--include", root.url(key))
    eventually(lambda: root.waiting() == 1)
    root.put(key, FILE + b"data\r\n--b--\r\n", FORM)
    answer = Answer.parse(reader.communicate(timeout=30)[0])
    assert reader.returncode == 0
    assert "content-length" not in answer.headers or answer.headers["content-length"] == "4"
    assert answer.headers["content-disposition"] == 'attachment; filename="a.txt"'
    assert answer.body == b"data"


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    ("length", "header", "begun"),
    [(None, "X: y", b"hello"), (100, "X: y", b"hello"), (None, FORM, FILE), (None, FORM, b"--b")],
    ids=["chunked", "length", "in a file", "before a file"],
)
def test_05_a_failed_upload_frees_its_key(
    root: Front, key: str, end: Callable[[Upload], None], length: int | None,
    header: str, begun: bytes,
) -> None:  # fmt: skip
    """The retry wins the key at once."""
    with root.upload(key, length, header) as upload:
        upload.send(begun)
        eventually(lambda: root.state_of(key) is not None)
        end(upload)
        eventually(lambda: root.state_of(key) is None)
        assert root.put(key, b"again").status == 200


def test_06_the_ledger_is_what_is_held(launch: Launch) -> None:
    """Memory and disk are counted to the byte, through the spill and back."""
    front = launch("-s", "64K", "-M", "1M")

    def held() -> tuple[int, int]:
        state = front.daemon.state()
        return state["memory"]["used"], state["disk"]["used"]

    for number in range(3):
        front.put(f"small-{number}", bytes(40000))
    assert held() == (120000, 0)
    with front.upload("k", None) as upload:
        upload.send(bytes(30000))
        eventually(lambda: held() == (150000, 0))
        upload.send(bytes(70000))
        eventually(lambda: front.stored("k") == 100000)
        upload.finish()
    eventually(lambda: held() == (120000, 100000))
    with front.upload("broken", 500000) as upload:
        upload.send(bytes(200000))
        eventually(lambda: front.stored("broken") == 200000)
        upload.reset()
    eventually(lambda: held() == (120000, 100000))


def test_06_memory_stays_within_its_limit(launch: Launch, tmp_path: Path) -> None:
    """What has moved to disk is no longer in memory: five uploads need no more than the limit."""
    front = launch("-s", "32M", "-M", "40M")
    source = file_of(tmp_path, bytes(30 * MIB))
    before = resident(front.daemon)
    for number in range(5):
        chunked = ("--header", "Transfer-Encoding: chunked")
        assert front.curl(f"k{number}", "--upload-file", source, *chunked).status == 200
    state = front.daemon.state()
    assert state["memory"]["used"] <= 40 * MIB
    assert state["memory"]["used"] + state["disk"]["used"] == 5 * 30 * MIB
    assert resident(front.daemon) - before < 80 * MIB


def test_07_abandoned_readers_leave_nothing(front: Front) -> None:
    """A reader that goes while it waits is forgotten, with its key and its descriptor."""
    before = descriptors(front.daemon)
    peers = [front.download(f"nobody/{number}") for number in range(100)]
    eventually(lambda: front.waiting() == 100)
    for number, peer in enumerate(peers):
        peer.reset() if number % 2 else peer.leave()
    eventually(lambda: front.waiting() == 0)
    eventually(lambda: descriptors(front.daemon) <= before + 1)


def test_10_there_are_limits(launch: Launch) -> None:
    """Memory, disk, keys and connections are limited unless somebody says otherwise."""
    front = launch()
    state = front.daemon.state()
    assert state["memory"]["limit"] == 256 * MIB
    assert state["disk"]["limit"] > 0


def test_11_no_file_of_others_is_touched(
    launch: Launch, restart: Callable[..., Daemon], key: str
) -> None:
    """A user's `pipe-notes.txt` stays; a spilled object has no name, and a private folder."""
    daemon = launch("-s", "0").daemon
    notes = daemon.data_dir / "pipe-notes.txt"
    notes.write_text("mine")
    Front(daemon).put(key, BODY)
    assert daemon.state()["disk"]["used"] == len(BODY)
    own = daemon.data_dir / "filepipe"
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert sum(path.stat().st_size for path in own.rglob("*") if path.is_file()) < len(BODY)
    daemon.kill()
    restart(daemon, *LISTENERS)
    assert notes.read_text() == "mine"


def test_12_one_signal_is_enough(launch: Launch) -> None:
    """SIGTERM ends a daemon that only waits and keeps; whoever waits is told."""
    front = launch("--drain-timeout", "1h")
    front.put("k", b"hello")
    front.curl("k")
    with front.download("nobody") as reader:
        eventually(lambda: front.waiting() == 1)
        assert front.daemon.stop() == 0
        assert reader.begin() == 503
    assert front.daemon.log()[-1]["event"] == "stopped"


def test_13_a_silent_writer_is_cut(launch: Launch, each_path: str) -> None:
    """A writer that sends nothing for --idle-timeout loses its key; its readers are cut."""
    front = launch(each_path, "--idle-timeout", "1")
    lengths = {"chunked": None, "short": 10, "long": len(BODY)}
    with contextlib.ExitStack() as transfers:
        enter = transfers.enter_context
        uploads = {key: enter(front.upload(key, length)) for key, length in lengths.items()}
        readers = {key: enter(front.download(key)) for key in uploads}
        for key, upload in uploads.items():
            upload.send(b"hello")
            assert readers[key].begin() == 200
        for key, upload in uploads.items():
            answer = Answer.parse(upload.answer())
            answer.assert_refusal(408, "the peer sent nothing for 1 seconds")
            assert readers[key].rest() is None
            assert front.put(key, b"again").status == 200
    front.daemon.assert_clean_log()


@pytest.mark.parametrize("begun", [b"--b", FILE[:20], b"", FILE + b"data"])
def test_13_a_silent_form_is_cut(launch: Launch, begun: bytes) -> None:
    """So does one whose form stops before its file."""
    front = launch("--idle-timeout", "1")
    with front.upload("k", 1000, FORM) as upload:
        upload.send(begun)
        answer = Answer.parse(upload.answer())
        answer.assert_refusal(408, "the peer sent nothing for 1 seconds")
    assert front.put("k", b"again").status == 200
    front.daemon.assert_clean_log()


@pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml", "application/xml", None])
def test_14_nothing_runs_in_a_browser(front: Front, key: str, content_type: str | None) -> None:
    """What strangers upload has no rights on our origin."""
    front.put(key, b"<script>", *([f"Content-Type: {content_type}"] if content_type else []))
    headers = front.curl(key).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "sandbox; default-src 'none'"
    disposition = headers.get("content-disposition")
    assert disposition == ("attachment" if content_type else None)


def test_15_a_broken_download_goes_on(root: Front, key: str) -> None:
    """A reader asks for the rest of the same object; others see how far the upload is."""
    with root.upload(key, None) as upload:
        upload.send(b"01234")
        with root.download(key) as reader:
            assert reader.begin() == 200
            etag = reader.response.headers["ETag"]
            assert reader.take(3) == b"012"
            reader.reset()
        with root.download(key, "Range: bytes=3-", f"If-Range: {etag}") as reader:
            assert reader.begin() == 206
            assert curl("--head", Front(root.daemon, 1).url(key)).stdout.count(b"Offset: 5") == 1
            upload.finish(b"56789")
            assert reader.rest() == b"3456789"


def test_16_a_field_before_the_file(front: Front, key: str, tmp_path: Path) -> None:
    """curl's forms may begin with a note."""
    source = file_of(tmp_path, b"data", "name.txt")
    forms = ("--form", "note=text", "--form", f"file=@{source}")
    assert front.curl(key, "--request", "PUT", *forms).status == 200
    answer = front.curl(key)
    assert answer.body == b"data"
    assert answer.headers["content-disposition"] == 'attachment; filename="name.txt"'


def test_17_a_405_says_what_is_allowed(front: Front, key: str) -> None:
    """RFC 9110, 15.5.6."""
    assert front.ask("DELETE", f"/{key}").headers["allow"] == "GET, PUT"


def test_18_stuck_readers_share_their_bytes(launch: Launch, tmp_path: Path) -> None:
    """Readers that stand still hold no copy of the object each."""
    front = launch("-s", "64M", "-M", "64M")
    front.curl("k", "--upload-file", file_of(tmp_path, bytes(30 * MIB)))
    before = resident(front.daemon)
    readers = [Download(front.daemon, "/k", receive_buffer=4096) for _ in range(8)]
    for reader in readers:
        assert reader.begin() == 200
    assert resident(front.daemon) - before < 30 * MIB
    assert front.daemon.state()["memory"]["used"] == 30 * MIB
    for reader in readers:
        reader.leave()


def test_19_a_fast_writer_cannot_fill_the_disk(launch: Launch, tmp_path: Path) -> None:
    """With a reader that stands still it is the limit that ends the upload, not the disk."""
    front = launch("-s", "64K", "-M", "1M", "--max-disk", "8M")
    with Download(front.daemon, "/k", receive_buffer=4096):
        eventually(lambda: front.waiting() == 1)
        source = file_of(tmp_path, bytes(40 * MIB))
        chunked = ("--header", "Transfer-Encoding: chunked")
        done = curl("--include", "--upload-file", source, *chunked, front.url("k"))
        text = "disk quota exceeded, try again later"
        Answer.parse(done.stdout).assert_refusal(503, text)
    eventually(front.at_rest)


def test_20_two_servers_share_nothing(launch: Launch) -> None:
    """Two daemons keep their own bytes under one key; a second one on a folder does not start."""
    kept = ("-s", "0", "--retention", "1h")
    first, second = launch(*kept), launch(*kept)
    first.put("k", b"one" * 100000)
    second.put("k", b"two" * 100000)
    assert sha(first.curl("k").body) == sha(b"one" * 100000)
    assert sha(second.curl("k").body) == sha(b"two" * 100000)
    command = [sys.executable, "-m", "filepipe", "serve", "--listen", "127.0.0.1:0"]
    command += ["--data-dir", str(first.daemon.data_dir)]
    third = subprocess.run(command, capture_output=True, check=False, timeout=30)
    assert third.returncode != 0
    assert b"Traceback" not in third.stderr
    assert sha(first.curl("k").body) == sha(b"one" * 100000)
