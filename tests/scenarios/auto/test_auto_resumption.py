"""PUT with Content-Range: a sender who lost the connection goes on, and no reader notices."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Daemon, curl, eventually
from tests.scenarios.answers import Answer, ask, assert_refused, parse, upload
from tests.scenarios.peers import (
    MIB,
    Download,
    Upload,
    body_of,
    descriptors,
    key_of,
    sha,
    stored,
)

SIZE = 3 * MIB + 17
BODY = body_of(SIZE)
CUT = MIB + 5

Start = Callable[..., Daemon]


def piece(first: int, last: int | str, total: int | str) -> str:
    """The header."""
    return f"Content-Range: bytes {first}-{last}/{total}"


def whole(first: int = 0) -> str:
    """The header of the rest from `first` on."""
    return piece(first, SIZE - 1, SIZE)


def refusal(sender: Upload) -> Answer:
    """What is answered at once, without waiting until the daemon has closed."""
    return parse(sender.sock.recv(65536))


def put_rest(daemon: Daemon, path: str, first: int, *headers: str) -> Answer:
    """Send the rest of the body."""
    with Upload(daemon, path, SIZE - first, whole(first), *headers) as sender:
        with contextlib.suppress(ConnectionError):
            sender.send(BODY[first:])
        return refusal(sender)


def suspended(daemon: Daemon, path: str) -> bool:
    """Whether the key waits for its sender to come back."""
    entry = key_of(daemon, path[1:])
    return entry is not None and entry["state"] == "suspended"


@pytest.fixture
def lose(both: Daemon, path: str) -> Callable[..., None]:
    """Begin an upload and lose its connection after `CUT` bytes."""

    def lose(by: str = "leave") -> None:
        with Upload(both, path, SIZE, whole()) as sender:
            sender.send(BODY[:CUT])
            eventually(lambda: stored(both, path[1:]) == CUT)
            getattr(sender, by)()

    return lose


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon on which nobody has long to come back."""
    daemon = Daemon(["--resume-window", "0.3", "--wait", "0"], tmp_path_factory.mktemp("quick"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.mark.parametrize("by", ["leave", "reset"])
def test_the_readers_stay(both: Daemon, path: str, lose: Callable[..., None], by: str) -> None:
    """Who read along gets every byte, once, and who comes in between as well."""
    with Download(both, path) as early, Download(both, path) as middle:
        lose(by)
        assert early.begin() == 200
        assert early.take(CUT) == BODY[:CUT]
        middle.response.begin()
        eventually(lambda: suspended(both, path))
        with Download(both, path) as late:
            answer = put_rest(both, path, CUT)
            assert answer.status == 200
            assert answer["Upload-Offset"] == str(SIZE)
            assert late.begin() == 200
            assert sha(early.rest() or b"") == sha(BODY[CUT:])
            assert sha(middle.rest() or b"") == sha(BODY)
            assert sha(late.rest() or b"") == sha(BODY)
    assert sha(ask(both, path).body) == sha(BODY)


def test_head_says_where_to_go_on(both: Daemon, path: str, lose: Callable[..., None]) -> None:
    """By `Upload-Offset`, beside the length of the whole."""
    lose()
    answer = ask(both, path, "--head")
    assert (answer["Upload-Offset"], answer["Content-Length"]) == (str(CUT), str(SIZE))
    put_rest(both, path, CUT)


def test_curl_goes_on(both: Daemon, path: str, tmp_path: Path) -> None:
    """`curl -C - -T` begins, is killed, and `curl -C N -T` goes on."""
    source = tmp_path / "file"
    source.write_bytes(BODY)
    first = subprocess.Popen(
        ["curl", "-sS", "--limit-rate", "400K", "-C", "-", "-T", source, both.url(path)]
    )
    with Download(both, path) as reader:
        eventually(lambda: stored(both, path[1:]) > 100_000)
        first.kill()
        first.wait(10)
        offset = ask(both, path, "--head")["Upload-Offset"]
        assert 0 < int(offset or 0) < SIZE
        done = curl("-C", offset or "", "-T", str(source), "-w", "%{http_code}", both.url(path))
        assert done.stdout.decode().endswith("200")
        assert reader.begin() == 200
        assert sha(reader.rest() or b"") == sha(BODY)


def test_bytes_that_are_here_are_dropped(
    both: Daemon, path: str, lose: Callable[..., None]
) -> None:
    """Who begins again, or too early, changes nothing of what was read already."""
    lose()
    eventually(lambda: suspended(both, path))
    with Upload(both, path, SIZE, whole()) as sender:
        sender.send(b"X" * CUT + BODY[CUT : CUT + 1000])
        eventually(lambda: stored(both, path[1:]) == CUT + 1000)
        sender.reset()
    eventually(lambda: suspended(both, path))
    assert put_rest(both, path, CUT - 100).status == 200
    assert sha(ask(both, path).body) == sha(BODY)


def test_a_lost_answer(both: Daemon, path: str) -> None:
    """The last piece sent again is told the same, and the object stays as it is."""
    assert put_rest(both, path, 0).status == 200
    etag = ask(both, path)["ETag"]
    again = put_rest(both, path, CUT)
    assert (again.status, again["ETag"], again["Upload-Offset"]) == (200, etag, str(SIZE))


def test_pieces(both: Daemon, path: str) -> None:
    """A piece that is not the last is answered with 202 and where the next one begins."""
    for first, stop in ((0, MIB), (MIB, 2 * MIB), (2 * MIB, SIZE)):
        with Upload(both, path, stop - first, piece(first, stop - 1, SIZE)) as sender:
            answer = parse(sender.finish(BODY[first:stop]))
        assert answer.status == (200 if stop == SIZE else 202)
        assert answer["Upload-Offset"] == str(stop)
        assert answer.text == f"http://localhost{path}\n"
    assert sha(ask(both, path).body) == sha(BODY)


def test_an_end_that_nobody_knows(both: Daemon, path: str) -> None:
    """`bytes N-*/*` goes on to the end of the body, in chunks."""
    with Download(both, path) as reader:
        with Upload(both, path, None, piece(0, "*", "*")) as sender:
            sender.send(BODY[:CUT])
            eventually(lambda: stored(both, path[1:]) == CUT)
            sender.reset()
        eventually(lambda: suspended(both, path))
        with Upload(both, path, None, piece(CUT, "*", "*")) as sender:
            assert parse(sender.finish(BODY[CUT:])).status == 200
        assert reader.begin() == 200
        assert sha(reader.rest() or b"") == sha(BODY)


@pytest.mark.parametrize("text", ["bytes 0--1/0", "bytes 0-*/*"])
def test_an_empty_whole(both: Daemon, path: str, text: str) -> None:
    """Nothing to send is no mistake."""
    with Upload(both, path, 0, f"Content-Range: {text}") as sender:
        assert parse(sender.finish()).status == 200
    assert ask(both, path).body == b""


def test_a_silent_sender_is_taken_over(both: Daemon, path: str) -> None:
    """A connection that died without a word does not keep the next one out."""
    with Download(both, path) as reader, Upload(both, path, SIZE, whole()) as silent:
        silent.send(BODY[:CUT])
        eventually(lambda: stored(both, path[1:]) == CUT)
        assert put_rest(both, path, CUT).status == 200
        assert_refused(parse(silent.answer()), 502, "another sender goes on")
        assert reader.begin() == 200
        assert sha(reader.rest() or b"") == sha(BODY)


def test_a_second_first_sender_is_refused(both: Daemon, path: str) -> None:
    """Who begins at 0 while somebody sends is another one; he is told where that one is."""
    with Upload(both, path, SIZE, whole()) as sender:
        sender.send(BODY[:CUT])
        eventually(lambda: stored(both, path[1:]) == CUT)
        answer = put_rest(both, path, 0)
        assert_refused(answer, 409, "goes on at offset")
        assert answer["Upload-Offset"] == str(CUT)
        assert parse(sender.finish(BODY[CUT:])).status == 200


@pytest.mark.parametrize(
    ("headers", "status", "sentence"),
    [
        ((piece(CUT + 1, SIZE - 1, SIZE),), 409, "goes on at offset"),
        ((piece(CUT, SIZE, SIZE + 1),), 409, "key already exists"),
        ((piece(CUT, SIZE - 1, "*"),), 409, "key already exists"),
        ((), 409, "key already exists"),
        ((whole(CUT), 'If-Match: "other"'), 412, "another object"),
        ((whole(CUT), "X-Forward-Url: http://localhost/"), 400, "X-Forward-Url"),
        ((whole(CUT), "Content-Type: multipart/form-data; boundary=b"), 400, "form"),
        ((f"Content-Range: bytes {CUT}-/{SIZE}",), 400, "is not like"),
        ((whole(CUT), "Expect: magic"), 417, "expectation"),
    ],
)
def test_what_does_not_go_on(
    both: Daemon,
    path: str,
    lose: Callable[..., None],
    headers: tuple[str, ...],
    status: int,
    sentence: str,
) -> None:
    """Refused before its body is read; the pipe still waits for its sender."""
    lose()
    eventually(lambda: suspended(both, path))
    first = CUT + 1 if "gap" in sentence or headers == (piece(CUT + 1, SIZE - 1, SIZE),) else CUT
    length = SIZE + 1 - CUT if headers == (piece(CUT, SIZE, SIZE + 1),) else SIZE - first
    with Upload(both, path, length, *headers) as sender:
        answer = refusal(sender)
    assert_refused(answer, status, sentence)
    if "goes on" in sentence:
        assert answer["Upload-Offset"] == str(CUT)
    assert put_rest(both, path, CUT).status == 200
    assert sha(ask(both, path).body) == sha(BODY)


@pytest.mark.parametrize(
    ("text", "sentence", "status"),
    [
        ("bytes 5-9/10", "goes on at offset 0", 409),
        ("bytes 0-9/10", "has 10 bytes, and the body 5", 400),
        ("bytes 0-4", "is not like", 400),
    ],
)
def test_nothing_to_go_on_with(
    shared: Daemon, path: str, text: str, sentence: str, status: int
) -> None:
    """A part of an object is not taken for the whole (RFC 9110, 14.5)."""
    answer = upload(shared, path, b"hello", "--header", f"Content-Range: {text}")
    assert_refused(answer, status, sentence)
    assert ask(shared, path).status == 404


def test_a_plain_pipe_is_not_resumed(both: Daemon, path: str) -> None:
    """What began without Content-Range is broken at once when its sender leaves."""
    with Upload(both, path, SIZE) as sender, Download(both, path) as reader:
        sender.send(BODY[:CUT])
        eventually(lambda: stored(both, path[1:]) == CUT)
        assert_refused(put_rest(both, path, CUT), 409, "key already exists")
        sender.reset()
        assert reader.begin() == 200
        assert reader.rest() is None
    eventually(lambda: stored(both, path[1:]) == -1)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_body_of_another_length(both: Daemon, path: str, *, chunked: bool) -> None:
    """A piece that is shorter or longer than it says is no end of the whole."""
    if not chunked:
        with Upload(both, path, 10, piece(0, 4, 5)) as sender:
            assert_refused(refusal(sender), 400, "has 5 bytes, and the body 10")
        assert stored(both, path[1:]) == -1
        return
    with Upload(both, path, None, piece(0, 4, 5)) as sender:
        assert_refused(parse(sender.finish(b"four")), 400, "has 5 bytes, and the body 4")
    assert stored(both, path[1:]) == 4
    with Upload(both, path, None, piece(4, 4, 5)) as sender:
        assert_refused(parse(sender.finish(b"ab")), 400, "has 1 bytes, and the body more")
    with Upload(both, path, 1, piece(4, 4, 5)) as sender:
        assert parse(sender.finish(b"5")).status == 200
    assert ask(both, path).body == b"four5"


def test_a_new_one_only(both: Daemon, path: str, lose: Callable[..., None]) -> None:
    """`If-None-Match: *` begins, and does not go on with what somebody else has lost."""
    lose()
    eventually(lambda: suspended(both, path))
    new = "If-None-Match: *"
    with Upload(both, path, SIZE, whole(), new) as sender:
        assert_refused(refusal(sender), 409, "key already exists")
    with Upload(both, path, SIZE, whole(), 'If-None-Match: "x"') as sender:
        assert_refused(refusal(sender), 400, "If-None-Match")
    assert put_rest(both, path, CUT).status == 200
    assert put_rest(both, f"{path}-2", 0, new).status == 200
    assert sha(ask(both, f"{path}-2").body) == sha(BODY)


def test_who_gives_up_says_so(both: Daemon, path: str, lose: Callable[..., None]) -> None:
    """DELETE with the ETag cuts the readers and frees the key; without, it stays off."""
    with Download(both, path) as reader:
        lose()
        assert reader.begin() == 200
        etag = ask(both, path, "--head")["ETag"]
        delete = ("-X", "DELETE", "-H")
        for wrong in ("X: y", "If-Match: *"):
            assert_refused(ask(both, path, *delete, wrong), 405, "DELETE is not supported")
        assert_refused(ask(both, path, *delete, 'If-Match: "other"'), 412, "another object")
        assert ask(both, path, *delete, f"If-Match: {etag}").status == 204
        assert reader.rest() is None
    assert put_rest(both, path, 0, "If-None-Match: *").status == 200
    etag = ask(both, path, "--head")["ETag"]
    assert_refused(ask(both, path, *delete, f"If-Match: {etag}"), 405, "DELETE is not supported")


def test_nobody_comes_back(quick: Daemon) -> None:
    """After the window the readers are cut, the key is free, and nothing is kept."""
    put_rest(quick, "/first", 0)  # what the first transfer opens stays
    before = descriptors(quick)
    with Upload(quick, "/k", SIZE, whole()) as sender, Download(quick, "/k?wait=30") as reader:
        sender.send(BODY[:CUT])
        eventually(lambda: stored(quick, "k") == CUT)
        sender.reset()
        assert reader.begin() == 200
        assert reader.rest() is None
    assert ask(quick, "/k").status == 404
    eventually(lambda: stored(quick, "k") == -1 and descriptors(quick) <= before)


def test_the_limit_holds_for_the_whole(start: Start) -> None:
    """Pieces cannot grow beyond what one body may be."""
    daemon = start("--max-body-size", "1M", "--wait", "0")
    with Upload(daemon, "/a", 10, piece(0, 9, 2 * MIB)) as sender:
        assert_refused(refusal(sender), 413, "limit of 1048576 bytes")
    with Upload(daemon, "/b", MIB, piece(0, MIB - 1, "*")) as sender:
        assert parse(sender.finish(BODY[:MIB])).status == 202
    with Upload(daemon, "/b", None, piece(MIB, "*", "*")) as sender:
        assert_refused(parse(sender.finish(b"x")), 413, "limit of 1048576 bytes")
    assert ask(daemon, "/b").status == 404
    daemon.assert_clean_log()


def test_a_drain_does_not_wait_for_ever(start: Start) -> None:
    """A sender that is lost while the daemon goes down is not let in again; it ends in time."""
    daemon = start("--drain-timeout", "1")
    with Upload(daemon, "/k", SIZE, whole()) as sender, Download(daemon, "/k") as reader:
        sender.send(BODY[:CUT])
        assert reader.begin() == 200
        threading.Timer(0.2, sender.reset).start()
        daemon.stop()
        assert reader.rest() is None
