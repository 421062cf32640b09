"""kill -9 in the middle of everything leaves nothing behind; one folder serves one daemon."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Daemon, curl, eventually, start_curl
from tests.scenarios.peers import MIB, Download, Upload, body_of, put, readers, sha, stored

BODY = body_of(3 * MIB)


def names_in(folder: Path) -> set[str]:
    """Every name below the folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def files_without_a_name(daemon: Daemon) -> int:
    """How many unlinked files the process holds open below its data folder."""
    folder = f"/proc/{daemon.pid}/fd"
    held = [os.readlink(os.path.join(folder, number)) for number in os.listdir(folder)]
    return sum(name.startswith(str(daemon.data_dir)) and "(deleted)" in name for name in held)


def test_nothing_is_left(
    start: Callable[..., Daemon], restart: Callable[..., Daemon], each_path: str
) -> None:
    """Killed with three spilled bodies and a reader: no file stays, and the next start is clean."""
    killed = start(each_path)
    own = names_in(killed.data_dir)
    with (
        Upload(killed, "/length", len(BODY)) as known,
        Upload(killed, "/chunked") as unknown,
    ):
        for upload in (known, unknown):
            upload.send(BODY[: 2 * MIB])
        reader = start_curl("--output", "/dev/null", killed.url("/length"))
        assert put(killed, "/whole", BODY)[0] == 200
        eventually(lambda: readers(killed, "length") == 1)
        eventually(lambda: stored(killed, "chunked") == 2 * MIB)
        eventually(lambda: files_without_a_name(killed) == 3)
        killed.kill()
        reader.communicate(timeout=30)
        assert reader.returncode in (18, 56)
        assert b" 200 " not in known.answer() + unknown.answer()
    assert names_in(killed.data_dir) == own
    again = restart(killed, each_path, "--listen", killed.addresses[0])
    assert curl(again.url("/whole?wait=0"), "--write-out", "%{http_code}").stdout.endswith(b"404")
    assert put(again, "/whole", BODY)[0] == 200
    assert sha(curl(again.url("/whole")).stdout) == sha(BODY)
    assert again.stop() == 0


def test_the_disk_gets_its_room_back(start: Callable[..., Daemon], small_disk: Path) -> None:
    """The blocks of what was spilled are free as soon as the process is gone."""
    daemon = start("--storage", f"file:{small_disk}", "--max-disk", "unlimited")
    free = os.statvfs(small_disk).f_bfree
    with Download(daemon, "/k") as reader:
        assert put(daemon, "/k", BODY)[0] == 200
        assert reader.begin() == 200
        assert os.statvfs(small_disk).f_bfree < free
        daemon.kill()
    eventually(lambda: os.statvfs(small_disk).f_bfree == free)
    assert names_in(small_disk) == set()


def test_a_unix_socket_of_the_dead_is_taken_over(
    start: Callable[..., Daemon], tmp_path: Path
) -> None:
    """The name that a killed daemon left in the file system is in nobody's way."""
    path = tmp_path / "filepipe.sock"
    killed = start("--listen", f"unix:{path}")
    killed.kill()
    assert path.is_socket()
    again = start("--listen", f"unix:{path}")
    health = curl("--unix-socket", str(path), "http://localhost/health")
    assert b'"OK"' in health.stdout
    assert again.stop() == 0
    assert not path.exists()


def second(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A second daemon in the folder of the first; it must end by itself."""
    command = [sys.executable, "-m", "filepipe", "serve", "--data-dir", str(daemon.data_dir)]
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=30, check=False,
        cwd=daemon.folder,
    )  # fmt: skip


def test_one_folder_serves_one_daemon(start: Callable[..., Daemon]) -> None:
    """A second daemon is refused in one line, and the first does not notice."""
    first = start()
    assert put(first, "/k", BODY)[0] == 200
    done = second(first, "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "another filepipe uses" in done.stderr
    assert done.stdout == ""
    assert sha(curl(first.url("/k")).stdout) == sha(BODY)


def test_an_address_in_use_is_one_line(start: Callable[..., Daemon], tmp_path: Path) -> None:
    """A second daemon on the same port says so, and lets go of its folder."""
    first = start()
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "filepipe", "serve", "--data-dir", str(tmp_path / "other"),
             "--listen", first.addresses[0]],
            capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "address already in use" in done.stderr
