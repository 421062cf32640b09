"""GET of a key in the protocol auto: before, during and after its upload, and its labels."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Daemon, curl, eventually, start_curl
from tests.scenarios.answers import ask, assert_refused, raw, talk, upload
from tests.scenarios.peers import MIB, Download, Upload, body_of, key_of, readers, sha

Start = Callable[..., Daemon]
FRAMINGS = pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])


def body_from(process: subprocess.Popen[bytes]) -> bytes:
    """What a curl in the background got; it must be content."""
    out, error = process.communicate(timeout=40)
    assert process.returncode == 0, error
    return out


@FRAMINGS
def test_readers_before_during_and_after(both: Daemon, path: str, *, chunked: bool) -> None:
    """Whenever a reader comes, it gets every byte once."""
    body = body_of(5 * MIB)
    url = both.url(path)
    before = [start_curl(url) for _ in range(2)]
    eventually(lambda: both.state()["waiting_readers"] == 2)
    with Upload(both, path, None if chunked else len(body)) as sender:
        sender.send(body[: 2 * MIB])
        eventually(lambda: readers(both, path[1:]) == 2)
        during = [start_curl(url) for _ in range(2)]
        eventually(lambda: readers(both, path[1:]) == 4)
        sender.send(body[2 * MIB : 4 * MIB])
        assert sender.finish(body[4 * MIB :]).startswith(b"HTTP/1.1 200 ")
    after = [start_curl(url) for _ in range(2)]
    assert {sha(body_from(process)) for process in before + during + after} == {sha(body)}


@FRAMINGS
def test_a_live_reader_sees_bytes_at_once(both: Daemon, path: str, *, chunked: bool) -> None:
    """What has arrived is passed on while the rest is still to come, however little it is."""
    body = body_of(2 * MIB)
    with (
        Upload(both, path, None if chunked else len(body)) as sender,
        Download(both, path) as reader,
    ):
        sender.send(body[:1])
        assert reader.begin() == 200
        assert reader.take(1) == body[:1]
        sender.send(body[1:MIB])
        assert sha(reader.take(MIB - 1)) == sha(body[1:MIB])
        assert sender.finish(body[MIB:]).startswith(b"HTTP/1.1 200 ")
        assert sha(reader.rest() or b"") == sha(body[MIB:])


@FRAMINGS
def test_a_broken_upload_breaks_its_readers(both: Daemon, path: str, *, chunked: bool) -> None:
    """curl knows that it has only a part, and the next upload under the key is another object."""
    body = body_of(3 * MIB)
    reader = start_curl(both.url(path))
    with Upload(both, path, None if chunked else len(body)) as sender:
        sender.send(body[: 2 * MIB])
        eventually(lambda: readers(both, path[1:]) == 1)
    out, _ = reader.communicate(timeout=30)
    assert reader.returncode == 18
    assert body.startswith(out)
    eventually(lambda: key_of(both, path[1:]) is None)


def test_nobody_came(shared: Daemon, path: str) -> None:
    """After the wait there is a 404 and one sentence, and curl --fail says so."""
    assert_refused(ask(shared, path), 404, "key not found")
    assert curl("--fail", shared.url(path)).returncode == 22


def test_retention(start: Start) -> None:
    """A key goes some time after its end, and that time starts anew with each reader."""
    daemon = start("--retention", "1", "--wait", "0")
    upload(daemon, "/k", b"hello")
    upload(daemon, "/big", bytes(2 * MIB))
    assert ask(daemon, "/k").status == 200
    eventually(lambda: not daemon.state()["keys"])
    assert_refused(ask(daemon, "/k"), 404)
    state = daemon.state()
    assert state["memory"]["used"] == state["disk"]["used"] == 0


@pytest.mark.parametrize("size", [5, 100_000, 3 * MIB])
def test_every_answer_has_an_id(both: Daemon, path: str, size: int) -> None:
    """Whoever moves the body, the answer names the line in the log that tells of it."""
    upload(both, path, bytes(size))
    answers = [ask(both, path), ask(both, path, "--head"), ask(both, path, "--range", "1-")]
    with Upload(both, f"{path}-live") as sender, Download(both, f"{path}-live") as reader:
        sender.send(b"hello")
        assert reader.begin() == 200
        ids = {answer["X-Request-Id"] for answer in answers}
        ids.add(reader.response.getheader("X-Request-Id"))
        sender.finish()
    assert len(ids) == 4
    assert None not in ids
    eventually(lambda: ids <= {line.get("request_id") for line in both.log()})


# -- labels


@pytest.mark.parametrize("size", [5, 200_000])
@FRAMINGS
def test_the_type_is_the_senders(shared: Daemon, path: str, size: int, *, chunked: bool) -> None:
    """A well-formed Content-Type arrives as it was sent."""
    framing = ("--header", "Transfer-Encoding: chunked") if chunked else ()
    kind = 'text/csv; charset=utf-8; header="present"'
    upload(shared, path, bytes(size), "--header", f"Content-Type: {kind}", *framing)
    got = ask(shared, path)
    assert got["Content-Type"] == kind
    assert got["Content-Length"] == str(size)


@pytest.mark.parametrize("kind", [None, "text", "text/", "a/b;c", "a/b\xff", "a/" + "b" * 300])
@pytest.mark.parametrize("size", [5, 200_000])
def test_no_usable_type(shared: Daemon, path: str, size: int, kind: str | None) -> None:
    """Whatever was no type is an octet-stream."""
    labels = () if kind is None else (f"Content-Type: {kind}",)
    request = raw(f"PUT {path} HTTP/1.1", f"Content-Length: {size}", *labels, body=bytes(size))
    assert talk(shared, request).status == 200
    assert ask(shared, path)["Content-Type"] == "application/octet-stream"


def test_a_growing_key_of_unknown_length(shared: Daemon, path: str) -> None:
    """Its reader gets chunks, for there is no length to tell."""
    with Upload(shared, path) as sender, Download(shared, path) as reader:
        sender.send(b"hello")
        assert reader.begin() == 200
        assert reader.response.getheader("Content-Length") is None
        assert reader.response.getheader("Transfer-Encoding") == "chunked"
        sender.finish()
        assert reader.rest() == b"hello"


@pytest.mark.parametrize(
    ("header", "name", "extended"),
    [
        ("attachment; filename=plain.txt", "plain.txt", None),
        ('inline; filename="two words.txt"', "two words.txt", None),
        ('attachment; filename="quote\\"d.txt"', 'quote\\"d.txt', None),
        ("attachment; filename*=UTF-8''%C3%A9t%C3%A9.txt", "_t_.txt", "%C3%A9t%C3%A9.txt"),
        ('attachment; filename="été.txt"', "_t_.txt", "%C3%A9t%C3%A9.txt"),
        ('attachment; filename="../../etc/passwd"', "passwd", None),
        ('attachment; filename="C:\\\\x\\\\evil.txt"', "evil.txt", None),
        ("attachment; filename*=UTF-8''a%E2%80%AEb.txt", "ab.txt", None),
        ("attachment; filename*=UTF-8''a%0D%0Ab.txt", "ab.txt", None),
    ],
)
def test_the_senders_name(
    shared: Daemon, path: str, header: str, name: str, extended: str | None
) -> None:
    """A download is called what its sender called it, made safe (RFC 6266)."""
    request = raw(
        f"PUT {path} HTTP/1.1", f"Content-Disposition: {header}", "Content-Length: 1", body=b"x"
    )
    assert talk(shared, request).status == 200
    expected = f'attachment; filename="{name}"'
    if extended is not None:
        expected += f"; filename*=UTF-8''{extended}"
    assert ask(shared, path)["Content-Disposition"] == expected


@pytest.mark.parametrize("size", [5, 200_000])
def test_the_name_is_the_keys(shared: Daemon, path: str, tmp_path: Path, size: int) -> None:
    """Without a name of its own it is called after the last part of the key, and curl -OJ knows."""
    upload(shared, f"{path}/%C3%A9t%C3%A9.txt", bytes(size))
    answer = ask(shared, f"{path}/%C3%A9t%C3%A9.txt")
    expected = "attachment; filename=\"_t_.txt\"; filename*=UTF-8''%C3%A9t%C3%A9.txt"
    assert answer["Content-Disposition"] == expected
    upload(shared, f"{path}/b.bin", bytes(size))
    curl("-OJ", shared.url(f"{path}/b.bin"), cwd=tmp_path)
    assert (tmp_path / "b.bin").stat().st_size == size


# -- codings: bytes pass through untouched


@FRAMINGS
@pytest.mark.parametrize("size", [1000, 8 * MIB])
def test_gzip_is_not_touched(both: Daemon, path: str, size: int, *, chunked: bool) -> None:
    """What was sent coded is stored coded, and labelled so for the reader."""
    plain = body_of(size)
    coded = gzip.compress(plain, 1)
    framing = ("--header", "Transfer-Encoding: chunked") if chunked else ()
    sent = upload(both, path, coded, "--header", "Content-Encoding: gzip", *framing)
    assert sent.status == 200
    assert (key_of(both, path[1:]) or {})["size"] == len(coded)
    got = ask(both, path, "--raw")
    assert got["Content-Encoding"] == "gzip"
    assert sha(got.body) == sha(coded)
    assert sha(curl("--compressed", both.url(path)).stdout) == sha(plain)


@pytest.mark.parametrize("size", [1000, 3 * MIB])
def test_nothing_is_coded_for_the_reader(both: Daemon, path: str, size: int) -> None:
    """Whatever a reader accepts, it gets the very bytes."""
    upload(both, path, bytes(size))
    got = ask(both, path, "--header", "Accept-Encoding: gzip, br, zstd, deflate")
    assert got["Content-Encoding"] is None
    assert got.body == bytes(size)


def test_a_bomb_is_a_small_object(shared: Daemon, path: str) -> None:
    """Bytes that would unpack to a thousand times their size count as what they are."""
    bomb = gzip.compress(bytes(64 * MIB), 9)
    assert upload(shared, path, bomb, "--header", "Content-Encoding: gzip").status == 200
    assert (key_of(shared, path[1:]) or {})["size"] == len(bomb)


def test_codings_in_two_lines(shared: Daemon, path: str) -> None:
    """Two codings in two lines are a list; a reader must know of both."""
    request = raw(
        f"PUT {path} HTTP/1.1", "Content-Encoding: gzip", "Content-Encoding: br",
        "Content-Length: 1", body=b"x",
    )  # fmt: skip
    assert talk(shared, request).status == 200
    assert ask(shared, path)["Content-Encoding"] == "gzip, br"
