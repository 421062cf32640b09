"""What file-pipe says when there is no room, no descriptor or no key left, and what it keeps."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import curl, eventually
from tests.scenarios.file_pipe.front import Answer, Front, file_of
from tests.scenarios.peers import MIB, Upload, body_of, descriptors, sha

BODY = body_of(3 * MIB)

Launch = Callable[..., Front]


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_disk_quota(launch: Launch, tmp_path: Path, framing: str, each_path: str) -> None:
    """Over the quota an upload is told so, nobody else is disturbed, and the room is given back."""
    front = launch(each_path, "--max-disk", "2M", "--max-memory", "64K", "-s", "16K")
    how = ("--header", "Transfer-Encoding: chunked") if framing == "chunked" else ()
    with front.upload("k", None) as upload, front.download("k") as reader:
        upload.send(BODY[:50000])
        assert reader.begin() == 200
        source = file_of(tmp_path, BODY)
        done = curl("--include", "--upload-file", source, *how, front.url("other"))
        Answer.parse(done.stdout).assert_refusal(503, "disk quota exceeded, try again later")
        assert front.state_of("other") is None
        # who comes next has room as soon as the refused bytes are let go, a moment after the answer
        eventually(lambda: front.daemon.state()["disk"]["used"] < MIB)
        upload.finish(BODY[50000:60000])
        assert sha(reader.rest() or b"") == sha(BODY[:60000])
    assert front.put("other", BODY[:60000]).status == 200
    front.daemon.assert_clean_log()


def test_the_quota_ends_an_upload_under_way(launch: Launch) -> None:
    """The reader of what hits the quota is cut: it must not take the part for the whole."""
    front = launch("--max-disk", "100K", "--max-memory", "64K", "-s", "16K")
    with front.upload("k", None) as upload, front.download("k") as reader:
        upload.send(BODY[:50000])
        assert reader.begin() == 200
        assert reader.take(50000) == BODY[:50000]
        upload.send(BODY[50000:MIB])
        Answer.parse(upload.answer()).assert_refusal(503, "disk quota exceeded, try again later")
        assert reader.rest() is None
    eventually(front.at_rest)
    front.daemon.assert_clean_log()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_full_disk(launch: Launch, small_disk: Path, tmp_path: Path, framing: str) -> None:
    """A disk without room is told plainly, and what did not fit is given back."""
    front = launch("--storage", f"file:{small_disk}", "--max-disk", "unlimited", "-s", "64K")
    how = ("--header", "Transfer-Encoding: chunked") if framing == "chunked" else ()
    source = file_of(tmp_path, bytes(12 * MIB))
    done = curl("--include", "--upload-file", source, *how, front.url("k"))
    Answer.parse(done.stdout).assert_refusal(503, "disk full, try again later")
    eventually(front.at_rest)
    assert front.put("k", b"small").status == 200


def test_too_many_open_files(launch: Launch) -> None:
    """Without a descriptor for its file an upload is told to come again, and no other is hurt."""
    front = launch("-s", "0", "--no-relay")
    with contextlib.ExitStack() as transfers:
        uploads = [transfers.enter_context(front.upload(f"k{number}", None)) for number in range(6)]
        eventually(lambda: front.daemon.state()["channels"] == {"pipe": 6})
        limit = descriptors(front.daemon) + 3
        resource.prlimit(front.daemon.pid, resource.RLIMIT_NOFILE, (limit, limit))
        for upload in uploads:
            upload.send(b"hello")
        answers = [Answer.parse(finish_if_possible(upload)) for upload in uploads]
    refused = [answer for answer in answers if answer.status != 200]
    assert 0 < len(refused) < len(answers)
    for answer in refused:
        answer.assert_refusal(503, "too many open files, try again later")
    front.daemon.assert_clean_log()


def finish_if_possible(upload: Upload) -> bytes:
    """The answer to an upload that may have been refused before its end."""
    with contextlib.suppress(ConnectionError):
        upload.sock.sendall(b"0\r\n\r\n")
    return upload.answer()


def test_one_object_too_large(launch: Launch, tmp_path: Path) -> None:
    """--max-body-size refuses by the announced length, or as soon as more has come."""
    front = launch("--max-body-size", "1000")
    front.put("k", bytes(1001)).assert_refusal(413, "the body exceeds the limit of 1000 bytes")
    source = file_of(tmp_path, bytes(1001))
    chunked = ("--header", "Transfer-Encoding: chunked")
    answer = front.curl("k", "--upload-file", source, *chunked)
    answer.assert_refusal(413, "the body exceeds the limit of 1000 bytes")
    assert front.put("k", bytes(1000)).status == 200


def test_too_many_keys(launch: Launch) -> None:
    """The number of keys has a limit; those in use are not given up for a new one."""
    front = launch("--max-keys", "2")
    front.put("a", b"1")
    front.put("b", b"2")
    front.put("c", b"3").assert_refusal(503, "too many keys, try again later")
    assert [front.curl(key).body for key in ("a", "b")] == [b"1", b"2"]
