"""One file, one thread: what is committed stays, what is wrong is said."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from filepipe.errors import NotFound, StorageFailed
from filepipe.records import database as module
from filepipe.records.database import CHECKPOINT_AFTER, Database
from filepipe.records.schema import MIGRATIONS
from tests.records.notes import MAKE, note, numbers, refusal


async def test_the_file_is_private(tmp_path: Path) -> None:
    """So is its log, whatever the umask; a file that was open to others is closed to them."""
    path = tmp_path / "uploads.db"
    path.touch()
    path.chmod(0o644)
    before = os.umask(0)
    try:
        for name in ("uploads.db", "new.db"):
            database = await Database.open(tmp_path / name)
            files = sorted(tmp_path.glob(f"{name}*"))
            assert [file.name for file in files] == [name, f"{name}-room", f"{name}-wal"]
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
            await database.aclose()
    finally:
        os.umask(before)


async def test_what_is_committed_is_on_the_disk(database: Database) -> None:
    """SQLite syncs before it says so, and holds references to what they name."""

    def look(connection: sqlite3.Connection) -> list[object]:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "locking_mode")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]

    assert await database.run(look) == ["wal", 2, 1, "exclusive"]


async def test_the_work_runs_elsewhere(database: Database) -> None:
    """On one thread that is not the event loop's, and returns what it returns."""
    seen = await asyncio.gather(*(database.run(lambda _: threading.get_ident()) for _ in range(5)))
    assert len(set(seen)) == 1
    assert threading.get_ident() not in seen


async def test_work_that_raises_changes_nothing(database: Database) -> None:
    """Its own error comes out, and the next work finds everything as before."""
    await database.run(lambda connection: connection.execute(MAKE).close())

    def fail(connection: sqlite3.Connection) -> None:
        note(connection, 1)
        raise NotFound("not here")

    with pytest.raises(NotFound, match="not here"):
        await database.run(fail)
    assert await database.run(numbers) == []
    await database.run(lambda connection: note(connection, 2))
    assert await database.run(numbers) == [2]


async def test_an_error_of_sqlite_stays_inside(database: Database) -> None:
    """No statement and no path is in the sentence; the cause is kept for the log."""
    with pytest.raises(StorageFailed) as caught:
        await database.run(lambda connection: connection.execute("SELECT * FROM nowhere"))
    assert str(caught.value) == "the records could not be read or written"
    assert "nowhere" in str(caught.value.__cause__)
    assert database.check() is None


async def test_a_second_daemon_is_refused(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is another process, and whatever path it came by."""
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    (tmp_path / "link.db").symlink_to("uploads.db")
    sentence = await refusal(tmp_path / "link.db")
    assert sentence.endswith("is used by another process")
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0)"
    command = [sys.executable, "-c", code + ".execute('SELECT 1 FROM uploads')"]
    done = subprocess.run([*command, tmp_path / "uploads.db"], capture_output=True, check=False)
    assert b"database is locked" in done.stderr


async def test_a_restart_finds_everything(tmp_path: Path) -> None:
    """The tables are made once; a close leaves one file, and the room for the next time."""
    path = tmp_path / "uploads.db"
    for number in range(3):
        database = await Database.open(path)
        await database.run(lambda connection: connection.execute(MAKE).close())
        await database.run(lambda connection, number=number: note(connection, number))
        await database.aclose()
    assert sorted(os.listdir(tmp_path)) == ["uploads.db", "uploads.db-room"]
    database = await Database.open(path)
    assert await database.run(numbers) == [0, 1, 2]
    await database.aclose()


async def test_the_log_is_copied_into_the_file(database: Database, tmp_path: Path) -> None:
    """Without an end of the log, it would grow for ever."""
    await database.run(lambda connection: connection.execute(MAKE).close())

    def many(connection: sqlite3.Connection) -> None:
        connection.executemany(
            "INSERT OR REPLACE INTO notes VALUES (?, zeroblob(900))",
            [(number,) for number in range(CHECKPOINT_AFTER)],
        )

    await database.run(many)
    whole = (tmp_path / "uploads.db").stat().st_size
    assert whole > CHECKPOINT_AFTER * 900
    log = (tmp_path / "uploads.db-wal").stat().st_size
    for _ in range(5):
        await database.run(many)
    assert (tmp_path / "uploads.db-wal").stat().st_size < 2 * log


# -- what cannot be opened


async def test_a_newer_file_is_refused_untouched(tmp_path: Path) -> None:
    """A daemon that was downgraded must not guess."""
    path = tmp_path / "uploads.db"
    await (await Database.open(path)).aclose()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    connection.close()
    before = path.read_bytes()
    assert (await refusal(path)).endswith("was written by a newer version of filepipe")
    assert path.read_bytes() == before


async def test_an_older_file_is_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only with the migrations that it lacks; one that fails changes nothing."""
    path = tmp_path / "uploads.db"
    await (await Database.open(path)).aclose()
    monkeypatch.setattr(module, "MIGRATIONS", [*MIGRATIONS, [MAKE, "CREATE nonsense"]])
    assert "cannot be used: " in await refusal(path)
    monkeypatch.setattr(module, "MIGRATIONS", [*MIGRATIONS, [MAKE]])
    database = await Database.open(path)
    assert await database.run(numbers) == []
    await database.aclose()


@pytest.mark.parametrize("size", [2, 99, 512, 5000])
async def test_garbage_is_refused_untouched(tmp_path: Path, size: int) -> None:
    """Whatever it is, it is somebody's."""
    path = tmp_path / "uploads.db"
    path.write_bytes(os.urandom(size))
    before = path.read_bytes()
    assert (await refusal(path)).endswith("is not a database")
    assert path.read_bytes() == before


async def test_the_database_of_another_program_is_refused_untouched(tmp_path: Path) -> None:
    """Its tables may even be called like ours."""
    path = tmp_path / "uploads.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE uploads (id TEXT PRIMARY KEY)")
    connection.close()
    before = path.read_bytes()
    assert (await refusal(path)).endswith("is the database of another program")
    assert path.read_bytes() == before


async def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """It is noticed at the start, not when the damaged row is asked for."""
    path = tmp_path / "uploads.db"
    database = await Database.open(path)
    await database.run(lambda connection: connection.execute(MAKE).close())
    for number in range(50):
        await database.run(lambda connection, number=number: note(connection, number, 900))
    await database.aclose()
    with path.open("r+b") as file:
        file.seek(os.path.getsize(path) - 4096)
        file.write(os.urandom(4096))
    assert " is damaged" in await refusal(path)


async def test_a_network_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made there."""
    table = f"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {tmp_path} rw - nfs4 nas:/x rw\n"
    monkeypatch.setattr(module, "read_mountinfo", lambda: table)
    expected = " is on a network file system (nfs4), choose a local folder"
    assert (await refusal(tmp_path / "uploads.db")).endswith(expected)
    assert os.listdir(tmp_path) == []


async def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A folder, a pipe that nobody reads, a folder that is missing."""
    os.mkfifo(tmp_path / "fifo")
    assert (await refusal(tmp_path / "fifo")).endswith("is not a file")
    assert (await refusal(tmp_path)).endswith("is not a file")
    missing = tmp_path / "absent" / "uploads.db"
    assert (await refusal(missing)).endswith(": No such file or directory")
    (tmp_path / "loop").symlink_to("loop")
    assert await refusal(tmp_path / "loop")
