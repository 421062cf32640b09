"""`filepipe uploads` as a shell sees it, at a real daemon."""

from typing import Any

import pytest

from tests.cli.shell import Call, Shell
from tests.cli.uploading import KEY, MIB, UploadShell


def _begin(uploader: UploadShell, name: str) -> Any:
    return uploader.ask("/upload/init", {"filename": name, "total_size": 2 * MIB})["file_id"]


def test_from_the_list_to_the_end(uploader: UploadShell) -> None:
    """What the list shows can be looked at, given tokens, and removed."""
    upload_id = _begin(uploader, "backups/db.img")
    code, out, err = uploader.run("uploads", "ls")
    assert (code, err) == (0, "")
    head, *rows = out.decode().splitlines()
    assert head.split() == ["ID", "STATUS", "SIZE", "EXPIRES", "PATH"]
    (row,) = [row.split(maxsplit=5) for row in rows if upload_id in row]
    assert (row[1:4], row[5]) == (["pending", "2", "MiB"], row[5])
    assert row[5].endswith("backups/db.img")
    code, out, _ = uploader.run("uploads", "status", upload_id)
    shown = dict(line.split(maxsplit=1) for line in out.decode().splitlines())
    assert code == 0
    assert (shown["path"], shown["status"]) == ("backups/db.img", "pending")
    assert (shown["size"], shown["parts"]) == ("2 MiB", "0 of 2")
    code, out, _ = uploader.run("uploads", "tokens", upload_id)
    head, *rows = out.decode().splitlines()
    assert [row.split()[0] for row in rows] == ["0", "1"]
    assert uploader.told("tokens", upload_id)[0].keys() == {"0", "1"}
    other = _begin(uploader, "other")
    assert uploader.run("uploads", "rm", upload_id, other) == (0, b"", "")
    assert not {upload_id, other} & {told["file_id"] for told in uploader.told("ls")}


def test_a_complete_one_goes_with_its_file(uploader: UploadShell) -> None:
    """It has no tokens any more, and no time at which it would be removed."""
    (uploader.folder / "done").write_bytes(b"x")
    uploader.run("upload", "done")
    (told,) = [told for told in uploader.told("ls") if told["path"] == "done"]
    rows = uploader.run("uploads", "ls")[1].decode().splitlines()
    (row,) = [row.split() for row in rows if told["file_id"] in row]
    assert (row[1], row[-2:]) == ("complete", ["never", "done"])
    assert b"expires" not in uploader.run("uploads", "status", told["file_id"])[1]
    code, _, err = uploader.run("uploads", "tokens", told["file_id"])
    assert (code, err) == (1, "filepipe: Upload is already complete (409)\n")
    assert uploader.run("uploads", "rm", told["file_id"])[0] == 0
    assert not (uploader.root / "done").exists()


@pytest.mark.parametrize("command", ["status", "rm", "tokens"])
@pytest.mark.parametrize("upload_id", ["nope", "../../x", "00000000-0000-0000-0000-000000000000"])
def test_what_is_not_there(
    call: Call,
    uploader: UploadShell,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    upload_id: str,
) -> None:
    """404 is exit 3."""
    for name in ("FILEPIPE_URL", "FILEPIPE_API_KEY"):
        monkeypatch.setenv(name, uploader.environment[name])
    code, out, err = call("uploads", command, upload_id)
    assert (code, out, err.count("\n")) == (3, "", 1)


def test_a_name_cannot_steer_the_terminal(
    call: Call, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a server says, one row is one line."""
    told = {"file_id": "a\x1b[2J", "filename": "x\ny", "total_size": 1, "status": "pending"}
    from filepipe.client import Uploads
    from filepipe.client.parts_api import upload_info

    async def listing(_: Uploads) -> list[Any]:
        return [upload_info(told)]

    monkeypatch.setattr(Uploads, "listing", listing)
    monkeypatch.setenv("FILEPIPE_API_KEY", KEY)
    code, out, _ = call("uploads", "ls")
    assert (code, out.count("\n")) == (0, 2)
    assert "\x1b" not in out


@pytest.mark.parametrize("command", [["ls"], ["status", "x"], ["rm", "x"], ["tokens", "x"]])
def test_without_a_key(call: Call, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    """Nothing is asked."""
    monkeypatch.delenv("FILEPIPE_API_KEY", raising=False)
    code, out, err = call("uploads", *command)
    assert (code, out) == (2, "")
    assert "there is no API key" in err
