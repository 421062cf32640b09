"""What kill -9, a full disk and a failing disk leave of the records."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from filepipe.errors import DiskFull
from filepipe.records import reserve
from filepipe.records.database import Database
from tests.records.notes import MAKE, note, numbers, refusal

WRITER = """
import asyncio, sys
from pathlib import Path
from filepipe.records import database as module
from filepipe.records.database import Database

module.CHECKPOINT_AFTER = 20

def note(connection, number):
    connection.execute("INSERT INTO notes VALUES (?, zeroblob(3000))", (number,))

async def main():
    database = await Database.open(Path(sys.argv[1]))
    await database.run(lambda connection: connection.execute(
        "CREATE TABLE IF NOT EXISTS notes (number INTEGER PRIMARY KEY, text BLOB)").close())
    number = int(sys.argv[2])
    while True:
        await database.run(lambda connection: note(connection, number))
        print(number, flush=True)
        number += 1

asyncio.run(main())
"""


async def test_kill_9_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    """Killed in the middle of commits and checkpoints, again and again on the same file."""
    path = tmp_path / "uploads.db"
    told: list[int] = []
    for stop in (1, 19, 50):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, path, str(told[-1] + 2 if told else 0)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        told += [int(process.stdout.readline()) for _ in range(stop)]
        process.kill()
        told += map(int, process.stdout.read().split())
        process.wait(10)
        process.stdout.close()
        database = await Database.open(path)
        found = await database.run(numbers)
        await database.aclose()
        assert set(told) <= set(found)
        assert len(found) <= len(told) + 3  # at most the one that was under way, each time


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of one megabyte."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this system mounts no tmpfs: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_disk_is_said_and_survived(small_disk: Path) -> None:
    """What was committed before can be read, and writing goes on once there is room."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(300_000))
    database = await Database.open(small_disk / "uploads.db")
    await database.run(lambda connection: connection.execute(MAKE).close())
    done: list[int] = []

    async def fill() -> None:
        for number in range(1000):
            await database.run(lambda connection: note(connection, number, 10_000))  # noqa: B023
            done.append(number)

    with pytest.raises(DiskFull, match=r"^disk full, try again later$"):
        await fill()
    assert done
    assert done == await database.run(numbers)
    assert database.check() is None
    ballast.unlink()
    await database.run(lambda connection: note(connection, 1000))
    assert [*done, 1000] == await database.run(numbers)
    await database.aclose()


async def test_a_full_disk_keeps_nobody_from_making_room(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For that there is room in reserve, and only for that; it is held again afterwards."""
    monkeypatch.setattr(reserve, "SIZE", 128 * 1024)
    ballast = small_disk / "ballast"
    database = await Database.open(small_disk / "uploads.db")
    await database.run(lambda connection: connection.execute(MAKE).close())

    async def fill() -> None:
        for number in range(1000):
            await database.run(lambda connection: note(connection, number, 10_000))  # noqa: B023

    for _ in range(3):
        room = os.statvfs(small_disk)
        ballast.write_bytes(bytes(room.f_bavail * room.f_frsize))
        with pytest.raises(DiskFull):
            await fill()
        await database.free(lambda connection: connection.execute("DELETE FROM notes").close())
        assert await database.run(numbers) == []
        ballast.unlink()
        await database.run(lambda connection: note(connection, 2000))
        await database.run(lambda connection: connection.execute("DELETE FROM notes").close())
        assert (small_disk / "uploads.db-room").stat().st_size == reserve.SIZE
    await database.aclose()


async def test_a_disk_without_any_room_is_refused(small_disk: Path) -> None:
    """At the start."""
    room = os.statvfs(small_disk)
    (small_disk / "ballast").write_bytes(bytes(room.f_bavail * room.f_frsize))
    assert (await refusal(small_disk / "uploads.db")).endswith("has no room on its disk")


FAILING_SYNC = """
import asyncio, sys
from pathlib import Path
from filepipe.errors import StorageFailed
from filepipe.records import database as module
from filepipe.records.database import Database

module.CHECKPOINT_AFTER = 10

async def main():
    database = await Database.open(Path(sys.argv[1]))
    make = "CREATE TABLE notes (number INTEGER PRIMARY KEY, text BLOB)"
    await database.run(lambda connection: connection.execute(make).close())
    print("made", flush=True)
    for number in range(100):
        try:
            await database.run(lambda connection: connection.execute(
                "INSERT INTO notes VALUES (?, 'x')", (number,)).close())
            print("kept", number, database.check(), flush=True)
        except StorageFailed as error:
            print("lost", number, error, "|", database.check(), flush=True)
            if number > 20:
                return

asyncio.run(main())
"""


async def test_a_failed_sync_is_not_tried_again(tmp_path: Path) -> None:
    """Nothing is written after it, and everything that was told is there after a restart."""
    if shutil.which("strace") is None:
        pytest.skip("this machine has no strace")
    path = tmp_path / "uploads.db"
    trace = ["strace", "-f", "-o", "/dev/null", "-e", "trace=fdatasync,fsync"]
    inject = ["-e", "inject=fdatasync,fsync:error=EIO:when=25"]
    done = subprocess.run(
        [*trace, *inject, sys.executable, "-c", FAILING_SYNC, path],
        capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    kept = [int(line.split()[1]) for line in lines if line.startswith("kept")]
    lost = [line for line in lines if line.startswith("lost")]
    assert kept, done.stderr
    assert "kept" not in "".join(lines[lines.index(lost[0]) :])
    assert all(line.endswith("| the records could not be written to the disk") for line in lost)
    database = await Database.open(path)
    assert set(kept) <= set(await database.run(numbers))
    await database.aclose()
