"""X-Forward-Url by the numbers of `docs/decisions/file-pipe.md`: cut, stalled, and forbidden."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import curl, eventually, start_curl
from tests.scenarios.file_pipe.front import Answer, Front, file_of
from tests.scenarios.file_pipe.targets import CREATED, Stuck, Target, accepting
from tests.scenarios.peers import MIB, body_of, sha

BODY = body_of(3 * MIB)
HALF = len(BODY) // 2

Launch = Callable[..., Front]


@pytest.mark.parametrize("length", [None, len(BODY)], ids=["chunked", "length"])
def test_03_the_target_of_a_forward_is_cut(each_front: Front, key: str, length: int | None) -> None:
    """A target sees that the upload broke: no last chunk, or fewer bytes than announced."""
    with Target(accepting()) as target:
        with each_front.upload(key, length, target.header()) as upload:
            upload.send(BODY[:HALF])
            eventually(lambda: target.received and len(target.received[0].body) == HALF)
            upload.reset()
        eventually(each_front.at_rest)
    assert len(target.received[0].body) == HALF
    assert not target.received[0].whole


def reading_all(stuck: Stuck) -> Callable[..., None]:
    """A target that takes the whole body and never answers."""

    def behave(sock: socket.socket, received: object, rest: bytes) -> None:
        while b"0\r\n\r\n" not in rest[-10:]:
            rest = rest[-10:] + sock.recv(1 << 20)
        stuck(sock, received, rest)

    return behave


@pytest.mark.parametrize("takes", ["nothing", "all"])
def test_08_a_stalled_target_hangs_nobody(launch: Launch, tmp_path: Path, takes: str) -> None:
    """A target that stands still fails its forward alone: reader and upload go on."""
    front = launch("--forward-allow", "127.0.0.1", "--forward-stall", "1")
    body = body_of(20 * MIB)
    stuck = Stuck()
    with Target(stuck if takes == "nothing" else reading_all(stuck)) as target:
        upload = start_curl(
            "--include", "--upload-file", file_of(tmp_path, body), "--header", target.header(),
            "--header", "Transfer-Encoding: chunked", front.url("k"),
        )  # fmt: skip
        assert sha(curl(front.url("k")).stdout) == sha(body)
        answer = Answer.parse(upload.communicate(timeout=30)[0])
        stuck.release.set()
    answer.assert_refusal(502, "forward failed: the target stalled")
    front.daemon.assert_clean_log()


def test_08_a_target_that_accepts_nobody(launch: Launch) -> None:
    """Nor does one that lets the connection hang."""
    front = launch("--forward-allow", "127.0.0.1", "--forward-stall", "1")
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        header = f"X-Forward-Url: http://127.0.0.1:{address[1]}/"
        front.put("k", b"hello", header).assert_refusal(502, "forward failed: the target stalled")
        for filler in fillers:
            filler.close()
    assert front.curl("k").body == b"hello"


def test_08_a_target_that_drips(launch: Launch) -> None:
    """An answer that never ends is none, however often a byte of it comes."""
    front = launch("--forward-allow", "127.0.0.1", "--forward-stall", "1")

    def drip(sock: socket.socket, received: object, rest: bytes) -> None:
        while True:
            sock.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
            time.sleep(0.1)

    with Target(drip) as target:
        answer = front.put("k", b"hello", target.header())
    answer.assert_refusal(502, "forward failed: the target stalled")


def test_09_forwarding_is_the_operators_to_allow(root: Front, key: str) -> None:
    """By default nobody is reached through us."""
    with Target(accepting()) as target:
        answer = root.put(key, b"hello", target.header())
    answer.assert_refusal(403, "forwarding is not allowed here")
    assert target.connections == 0


def test_09_no_secret_of_a_target_is_logged(launch: Launch) -> None:
    """Not a byte of a URL is in the log, whatever becomes of the forward."""
    front = launch("--forward-allow", "127.0.0.1", "--drain-timeout", "0")
    refusal = b"HTTP/1.1 403 hidden\r\nA: hidden\r\nContent-Length: 6\r\n\r\nhidden"
    for number, answer in enumerate([CREATED, refusal, b"", b"hidden"]):
        with Target(accepting(answer)) as target:
            front.put(f"k{number}", b"hello", target.header("/hidden?X-Amz-Signature=hidden"))
    front.put("k", b"hello", "X-Forward-Url: http://10.1.2.3/hidden")
    front.put("k", b"hello", "X-Forward-Url: http://hidden:hidden@127.0.0.1/hidden")
    assert front.daemon.stop() == 0
    assert "hidden" not in front.daemon.log_path.read_text()
    front.daemon.assert_clean_log()
