"""`--httpfstream-root`: logs under their own names, what was there before, what others do."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Daemon, curl, eventually
from tests.scenarios.answers import Answer
from tests.scenarios.httpfstream.wire import ORIGINAL, Wire, ask, handshake
from tests.scenarios.logs.asking import append

APPEND = ORIGINAL.format("APPEND")
FOLLOW = ORIGINAL.format("FOLLOW")

Start = Callable[..., Daemon]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, with what was in it before the daemon started."""
    root = tmp_path_factory.mktemp("files")
    (root / "builds").mkdir()
    (root / "builds/old.txt").write_bytes(b"long ago\n")
    (root / "binary").write_bytes(bytes(range(256)) * 1000)
    (root / ".hidden").write_bytes(b"secret")
    (root / "link").symlink_to("/etc/hostname")
    (root / "elsewhere").symlink_to("/etc")
    os.mkfifo(root / "pipe")
    (root / "one").write_bytes(b"two names")
    os.link(root / "one", root / "other")
    os.close(os.open(os.fsencode(root) + b"/no-\xff-text", os.O_CREAT))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(root / "socket"))
    return root


@pytest.fixture(scope="module")
def named(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Listener 0 speaks auto, listener 1 httpfstream."""
    daemon = Daemon(
        ["-l", "127.0.0.1:0", "-l", "127.0.0.1:0=httpfstream", "--allow-delete",
         "--httpfstream-root", str(root)],
        tmp_path_factory.mktemp("named"),
    )  # fmt: skip
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


def refusal(daemon: Daemon, path: str) -> Answer:
    """What an appender is told, who cannot be one."""
    answer = ask(daemon, path, APPEND, *handshake(), listener=1)
    assert answer.status in (400, 409)
    assert str(daemon.folder.parent) not in answer.text
    assert answer.text.count("\n") == 1
    return answer


# -- files of logs


def test_a_log_is_a_file(named: Daemon, root: Path) -> None:
    """Its bytes are there while it is appended to, and nothing else is; ours alone to read."""
    with Wire(named, "/live/log.txt", APPEND, listener=1) as wire:
        file = root / "live/log.txt"
        eventually(file.exists)
        for text in (b"one\n", b"\xff\x00", b"three"):
            wire.say(text)
        eventually(lambda: file.read_bytes() == b"one\n\xff\x00three")
        wire.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert os.listdir(file.parent) == ["log.txt"]
    with Wire(named, "/live/log.txt", APPEND, listener=1) as wire:
        wire.say(b" four")
        wire.close()
    assert file.read_bytes() == b"one\n\xff\x00three four"


def test_one_key_is_one_file(named: Daemon, root: Path) -> None:
    """By whatever protocol the log is made."""
    assert append(named, "/by/append", b"1").status == 200
    made = curl("--fail", "-X", "PUT", "-d", "2", named.url("/streams/by/stream"))
    assert made.returncode == 0
    assert append(named, "/by/stream", b"3").status == 200
    assert (root / "by/append").read_bytes() == b"1"
    assert (root / "by/stream").read_bytes() == b"23"
    assert ask(named, "/by/stream", listener=1).body == b"23"


def test_a_name_of_any_language(named: Daemon, root: Path) -> None:
    """Percent-encoding is undone once."""
    assert append(named, "/gr%C3%BC%C3%9Fe%20%2525", b"x").status == 200
    assert (root / "grüße %25").read_bytes() == b"x"


def test_deleting_removes_the_file(named: Daemon, root: Path) -> None:
    """And folders in which nothing is left."""
    assert append(named, "/a/b/c", b"1").status == append(named, "/a/d", b"2").status == 200
    assert ask(named, "/a/b/c", method="DELETE").status == 204
    assert sorted(path.name for path in (root / "a").iterdir()) == ["d"]
    assert ask(named, "/a/d", method="DELETE").status == 204
    assert not (root / "a").exists()
    assert append(named, "/a", b"now a file").status == 200


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("/.ssh/key", "a dot"), ("/x/.y", "a dot"), ("/folder/", "a slash"),
     ("/" + "n" * 256, "255 bytes"), ("/%C3%B6/" + "%C3%B6" * 30 + "n" * 200, "255 bytes")],
    ids=["a folder", "a file", "slash", "long", "long in bytes"],
)  # fmt: skip
def test_a_key_that_is_no_path(named: Daemon, root: Path, path: str, sentence: str) -> None:
    """400, and nothing is made."""
    before = sorted(os.listdir(root))
    answer = refusal(named, path)
    assert (answer.status, answer["X-Error-Code"]) == (400, "bad_key")
    assert sentence in answer.text
    assert append(named, path, b"x").status == 400
    assert ask(named, path, listener=1).status == 404
    assert sorted(os.listdir(root)) == before


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("/builds", "is a folder of other keys"), ("/builds/old.txt/more", "is a file"),
     ("/link", "no plain file"), ("/elsewhere/hosts", "is a file, and no folder"),
     ("/pipe", "no plain file"), ("/socket", "no plain file"), ("/one", "second name"),
     ("/other", "second name")],
)  # fmt: skip
def test_what_is_in_the_way(named: Daemon, root: Path, path: str, sentence: str) -> None:
    """409: no link is followed, nothing is written to, no folder becomes a file."""
    answer = refusal(named, path)
    assert answer.status == 409
    assert sentence in answer.text
    assert append(named, path, b"x").status == 409
    assert ask(named, path, listener=1).status == 404
    assert (root / "one").read_bytes() == b"two names"


def test_the_paths_of_other_systems(named: Daemon, root: Path) -> None:
    """Nobody leaves the folder."""
    for path in ("/../x", "/a/../../x", "/..%2fx", "/%2e%2e/x", "//etc/x", "/a\\..\\x", "/x%00"):
        assert ask(named, path, APPEND, *handshake(), listener=1).status == 400
    assert not (root.parent / "x").exists()


# -- files that were there


def test_a_file_that_was_there_is_a_log(named: Daemon, root: Path) -> None:
    """Followed, looked at in parts, and appended to at its end."""
    whole = bytes(range(256)) * 1000
    assert ask(named, "/binary", FOLLOW, *handshake(), listener=1).body == whole
    part = ask(named, "/binary", "Range: bytes=-3", listener=1)
    assert (part.status, part.body) == (206, b"\xfd\xfe\xff")
    with Wire(named, "/builds/old.txt", APPEND, listener=1) as wire:
        assert "stream-next-offset: 9" in wire.head.decode().lower()
        wire.say(b"today\n")
        with Wire(named, "/builds/old.txt", FOLLOW, listener=1) as follower:
            wire.close()
            assert follower.join() + follower.live() == b"long ago\ntoday\n"
    assert (root / "builds/old.txt").read_bytes() == b"long ago\ntoday\n"


def test_what_is_no_log_is_said(named: Daemon) -> None:
    """How many files, and one of them."""
    said = [line for line in named.log() if line["event"] == "some files are no logs"]
    assert [line["count"] for line in said] == [6]  # link, pipe, socket, one, other, no text
    assert ask(named, "/.hidden", listener=1).status == 404


def test_a_file_that_comes_later(named: Daemon, root: Path) -> None:
    """It is a log once somebody appends; its first bytes are not ours to begin anew."""
    (root / "later").write_bytes(b"first ")
    assert ask(named, "/later", listener=1).status == 404
    assert append(named, "/later", b"second").end == 12
    (root / "stream").write_bytes(b"there ")
    curl("-X", "PUT", "-d", "ignored", named.url("/streams/stream"))
    assert ask(named, "/stream", listener=1).body == b"there "
    assert (root / "later").read_bytes() == b"first second"


# -- what others do meanwhile


def test_a_file_that_somebody_else_writes_to(start: Start, tmp_path: Path) -> None:
    """Nothing is appended to it; what was acknowledged is served, and once it is back all is."""
    root = tmp_path / "root"
    daemon = start("--httpfstream-root", str(root), "--allow-delete")
    assert append(daemon, "/k", b"ours").status == 200
    with (root / "k").open("ab") as file:
        file.write(b" theirs")
    answer = append(daemon, "/k", b"more")
    assert (answer.status, answer.text) == (
        500, "the storage failed: somebody else changed the file of the log\n",
    )  # fmt: skip
    assert (root / "k").read_bytes() == b"ours theirs"
    assert ask(daemon, "/k").body == b"ours"
    os.truncate(root / "k", 4)
    assert append(daemon, "/k", b" again").status == 200
    (root / "k").unlink()
    assert append(daemon, "/k", b"gone").status == 500
    assert ask(daemon, "/k").status == 500
    assert ask(daemon, "/k", method="DELETE").status == 204
    assert append(daemon, "/k", b"new").end == 3


def test_a_file_that_shrinks_while_it_is_followed(start: Start, tmp_path: Path) -> None:
    """Who follows is cut, and does not wait for bytes that will never come."""
    root = tmp_path / "root"
    daemon = start("--httpfstream-root", str(root))
    assert append(daemon, "/k", bytes(1 << 20)).status == 200
    os.truncate(root / "k", 1000)
    for query in ("?follow", ""):
        done = curl("--max-time", "20", daemon.url(f"/k{query}"))
        assert done.returncode not in (0, 28)
        assert len(done.stdout) <= 1000


def test_one_daemon_a_folder(named: Daemon, root: Path, tmp_path: Path) -> None:
    """A second one does not start; nor does one that would serve its own private files."""
    data = tmp_path / "data"
    for folder, sentence in (
        (root, "another filepipe uses"),
        (data, "one in the other"),
    ):
        arguments = ["--httpfstream-root", str(folder)]
        with pytest.raises(AssertionError, match=f"httpfstream_root: .*{sentence}"):
            Daemon(arguments, tmp_path)
        (tmp_path / "daemon.log").unlink()


# -- restarts


def test_a_restart(start: Start, restart: Start, tmp_path: Path) -> None:
    """Logs are where they were made; without the folder they are not served, and not forgotten."""
    root = tmp_path / "root"
    daemon = start("--allow-delete")
    assert append(daemon, "/private", b"1").status == 200
    daemon.stop()
    daemon = restart(daemon, "--httpfstream-root", str(root))
    assert append(daemon, "/named", b"2").status == append(daemon, "/private", b"3").status == 200
    assert append(daemon, "/closed", b"4", "&close").status == 200
    (root / "new").write_bytes(b"new")
    daemon.stop()
    daemon = restart(daemon)
    assert ask(daemon, "/private").body == b"13"
    answer = ask(daemon, "/named")
    assert (answer.status, answer.text) == (
        500,
        "the log is not served: its bytes are below httpfstream_root, which is not set\n",
    )
    daemon.stop()
    moved = root.rename(tmp_path / "moved")
    daemon = restart(daemon, "--httpfstream-root", str(moved))
    bodies = [ask(daemon, f"/{key}").body for key in ("private", "named", "closed", "new")]
    assert bodies == [b"13", b"2", b"4", b"new"]
    assert append(daemon, "/closed", b"5").status == 409
    assert sorted(os.listdir(moved)) == ["closed", "named", "new"]


def test_what_is_behind_the_end(start: Start, restart: Start, tmp_path: Path) -> None:
    """A torn end of ours or bytes of others: cut off, and kept beside the index."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub/adopted").write_bytes(b"theirs")
    daemon = start("--httpfstream-root", str(root))
    assert append(daemon, "/sub/adopted", b" ours").end == 11
    daemon.kill()
    with (root / "sub/adopted").open("ab") as file:
        file.write(b" torn")
    daemon = restart(daemon, "--httpfstream-root", str(root))
    assert ask(daemon, "/sub/adopted").body == b"theirs ours"
    assert (root / "sub/adopted").read_bytes() == b"theirs ours"
    (said,) = [line for line in daemon.log() if line["event"] == "a log was cut to its end"]
    assert said["reason"].startswith("5 bytes behind its end were moved to ")
    (aside,) = (daemon.data_dir / "filepipe/logs").glob("*.aside")
    assert aside.read_bytes() == b" torn"
    assert append(daemon, "/sub/adopted", b"!", "&offset=11").end == 12


def test_a_file_that_is_gone_or_shorter(start: Start, restart: Start, tmp_path: Path) -> None:
    """It is refused, with the reason; a disk that is not mounted makes nothing anew."""
    root = tmp_path / "root"
    daemon = start("--httpfstream-root", str(root), "--allow-delete")
    for key in ("gone", "shorter", "changed"):
        assert append(daemon, f"/{key}", b"12345").status == 200
    daemon.stop()
    (root / "gone").unlink()
    os.truncate(root / "shorter", 2)
    (root / "changed").write_bytes(b"12x45")
    daemon = restart(daemon, "--httpfstream-root", str(root), "--allow-delete")
    for key, sentence in (
        ("gone", "its bytes are missing"),
        ("shorter", "of its 5 bytes only 2 are there"),
        ("changed", "its bytes from 0 on are damaged"),
    ):
        eventually(lambda key=key: ask(daemon, f"/{key}").status == 500)
        assert ask(daemon, f"/{key}").text == f"the log is not served: {sentence}\n"
        assert append(daemon, f"/{key}", b"x").status == 500
        assert ask(daemon, f"/{key}", method="DELETE").status == 204
    assert os.listdir(root) == []
