"""`filepipe upload` as a shell sees it, at a real daemon."""

import json
import os
import re
import signal
from pathlib import Path

import pytest

from tests.cli.shell import Call, Shell, stop
from tests.cli.uploading import KEY, MIB, UploadShell
from tests.conftest import eventually

BODY = bytes(range(256)) * 12345
"""Four parts."""


def test_a_file(uploader: UploadShell) -> None:
    """It is there, whole, under its own name; stdout has the place as its only line."""
    (uploader.folder / "a film.mov").write_bytes(BODY)
    assert uploader.run("upload", "a film.mov") == (0, b"a film.mov\n", "")
    assert (uploader.root / "a film.mov").read_bytes() == BODY
    assert uploader.notes() == []


def test_where_it_goes(uploader: UploadShell) -> None:
    """A path, or a folder for all; an existing file stays, unless it is to be replaced."""
    for name in ("f", "g"):
        (uploader.folder / name).write_bytes(name.encode())
    assert uploader.run("upload", "f", "--to", "there/x")[:2] == (0, b"there/x\n")
    assert uploader.run("upload", "f", "g", "--to", "there/")[:2] == (0, b"there/f\nthere/g\n")
    assert uploader.run("upload", "g", "--to", "there/x", "--overwrite")[:2] == (0, b"there/x\n")
    code, out, _ = uploader.run("upload", "f", "--to", "there/x", "--no-overwrite")
    assert (code, out) == (0, b"there/x (1)\n")
    found = {path.name: path.read_bytes() for path in (uploader.root / "there").iterdir()}
    assert found == {"x": b"g", "f": b"f", "g": b"g", "x (1)": b"f"}


def test_all_that_is_known(uploader: UploadShell) -> None:
    """--json is what the server says, one object a line."""
    (uploader.folder / "j").write_bytes(BODY)
    code, out, _ = uploader.run("upload", "j", "--json", "--parts", "1")
    told = json.loads(out)
    assert (code, told["status"], told["final_path"]) == (0, "complete", "j")
    assert told["total_size"] == len(BODY)


def test_a_hash_that_is_not_its(uploader: UploadShell) -> None:
    """The server keeps nothing else than what was announced."""
    (uploader.folder / "h").write_bytes(BODY)
    code, out, err = uploader.run("upload", "h", "--sha256", "0" * 64)
    assert (code, out) == (1, b"")
    assert "does not have the SHA-256 that was announced (422)" in err
    assert not (uploader.root / "h").exists()


def test_a_storage_that_there_is_not(uploader: UploadShell) -> None:
    """The server says so."""
    (uploader.folder / "s").write_bytes(b"x")
    code, out, err = uploader.run("upload", "s", "--storage", "moon")
    assert (code, out, err.count("\n")) == (1, b"", 1)
    assert "moon" in err or "storage" in err


def test_the_key_of_a_file(uploader: UploadShell) -> None:
    """A file goes before the environment; its last newline is none of the key."""
    (uploader.folder / "k").write_bytes(b"x")
    (uploader.folder / "key").write_text(f"{KEY}\n")
    (uploader.folder / "other").write_text("another-key-of-thirty-two-bytes-or-more")
    assert uploader.run("upload", "k", "--api-key-file", "key")[0] == 0
    code, out, err = uploader.run("upload", "k", "--api-key-file", "other")
    assert (code, out, err) == (1, b"", "filepipe: Invalid API key (401)\n")


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_the_same_command_goes_on(uploader: UploadShell, how: str) -> None:
    """After kill -9, and after Ctrl-C, what the server has is not sent again."""
    name = f"{how}.img"
    with (uploader.folder / name).open("wb") as file:
        file.truncate(96 * MIB)
    with uploader.start("upload", name, "--parts", "2") as process:
        eventually(lambda: _stored(uploader, name) > 1)
        if how == "stopped":
            assert stop(process) == "filepipe: stopped\n"
        else:
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=50)
    assert process.returncode == (130 if how == "stopped" else -signal.SIGKILL)
    (begun,) = _begun(uploader, name)
    assert 1 < _stored(uploader, name) < 96
    assert not (uploader.root / name).exists()
    code, out, err = uploader.run("upload", name, "--json")
    assert (code, err, json.loads(out)["file_id"]) == (0, "", begun)
    assert (uploader.root / name).stat().st_size == 96 * MIB
    assert uploader.notes() == []


def _begun(uploader: UploadShell, name: str) -> list[str]:
    return [told["file_id"] for told in uploader.ask("/upload")["uploads"] if told["path"] == name]


def _stored(uploader: UploadShell, name: str) -> int:
    counts = [uploader.ask(f"/upload/{each}/status") for each in _begun(uploader, name)]
    return sum(told["uploaded_parts"] for told in counts)


def test_a_terminal_sees_progress(uploader: UploadShell) -> None:
    """Bytes and rate at the end, and nothing with --quiet."""
    (uploader.folder / "p").write_bytes(BODY)
    code, shown, out = uploader.on_a_terminal("upload", "p")
    assert (code, out) == (0, b"p\n")
    assert re.search(r"3\.01 MiB in ", shown)
    assert uploader.on_a_terminal("upload", "p", "-q")[:2] == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 2, "upload which file?"),
        (["-"], 2, "standard input cannot be read in parts: `filepipe put -` takes it"),
        (["f", "sub"], 2, "sub: is a folder: upload its files, or an archive of it"),
        (["pipe"], 2, "pipe: cannot be read in parts: `filepipe put` takes it"),
        (["f", "none"], 1, "none: No such file or directory"),
        (["f", "--parts", "0"], 2, "--parts: 0 is not a number from 1 to 64"),
        (["f", "--parts", "many"], 2, "many"),
        (["f", "f2", "--to", "x"], 2, "several files need a folder in --to"),
        (["f", "f2", "--sha256", "x"], 2, "no --sha256"),
        (["f", "--bad"], 2, "./--bad"),
        (["f", "--api-key-file", "none"], 2, "none: No such file or directory"),
        (["f", "--api-key-file", "empty"], 2, "there is no API key"),
        (["f", "--api-key-file", "binary"], 2, "binary: holds no API key"),
        (["f", "--url", "localhost:3000"], 2, "the URL is not one like http://host:3000"),
    ],
)
def test_wrong_usage(
    call: Call, shell: Shell, arguments: list[str], code: int, sentence: str
) -> None:
    """One line before anything is sent: the server, which takes no uploads, is not asked."""
    for name in ("f", "f2"):
        (shell.folder / name).write_bytes(b"x")
    (shell.folder / "empty").write_bytes(b" \n")
    (shell.folder / "binary").write_bytes(b"\xff\xfe")
    (shell.folder / "sub").mkdir()
    os.mkfifo(shell.folder / "pipe")
    key = [] if "--api-key-file" in arguments else ["--api-key-file", str(_key(shell.folder))]
    ended, out, err = call("upload", *arguments, *key)
    assert (ended, out, err.count("\n")) == (code, "", 1)
    assert sentence in err


def _key(folder: Path) -> Path:
    path = folder / "good"
    path.write_text(KEY)
    return path


def test_without_a_key(call: Call, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to give, and there is no option for the key itself."""
    monkeypatch.delenv("FILEPIPE_API_KEY", raising=False)
    (shell.folder / "f").write_bytes(b"x")
    code, _, err = call("upload", "f")
    expected = (
        "filepipe: there is no API key: give --api-key-file FILE, or set FILEPIPE_API_KEY "
        "(a daemon says at its start which file its key is in)\n"
    )
    assert (code, err) == (2, expected)


def test_a_server_without_uploads(uploader: UploadShell) -> None:
    """Says so in one line."""
    (uploader.folder / "f").write_bytes(b"x")
    url = uploader.environment["FILEPIPE_URL"]
    code, _, err = uploader.run("upload", "f", "--url", f"{url}/-/beam")
    assert (code, err.count("\n")) in {(1, 1), (3, 1)}
    assert uploader.run("upload", "f", "--url", f"{url}/-/uploads")[0] == 0
