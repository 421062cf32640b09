"""A daemon that cannot start says why in one line, and its exit code tells whose matter it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def serve(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A daemon that must not start, with an empty home, in an empty folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FILEPIPE_")}
    return subprocess.run(
        [sys.executable, "-m", "filepipe", "serve", "--listen", "127.0.0.1:0", *arguments],
        capture_output=True, text=True, timeout=30, check=False, cwd=folder,
        env=clean | {"DATA_DIR": str(folder / "data"), "HOME": str(folder)} | variables,
    )  # fmt: skip


def assert_one_line(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    """It ended with this code and one line that has these parts."""
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1, done.stderr
    for part in parts:
        assert part in done.stderr


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--listen", "127.0.0.1:port"], ["listen", "port"]),
        (["--listen", "127.0.0.1:0=gopher"], ["listen", "gopher"]),
        (["--listen", "https://127.0.0.1:0"], ["tls_cert"]),
        (["--max-memory", "lots"], ["max_memory", "lots"]),
        (["--retention", "-1"], ["retention"]),
        (["--forward-allow", "10.0.0.0/99"], ["forward_allow", "10.0.0.0/99"]),
        (["--no-such-flag"], ["--no-such-flag"]),
    ],
    ids=["address", "protocol", "https", "size", "duration", "host", "flag"],
)
def test_a_wrong_value(tmp_path: Path, arguments: list[str], parts: list[str]) -> None:
    """What is wrong by itself ends with 2, and nothing is made in the data folder."""
    assert_one_line(serve(tmp_path, *arguments), 2, *parts)
    assert not (tmp_path / "data").exists()


def test_a_wrong_variable(tmp_path: Path) -> None:
    """The environment is read as strictly as the flags."""
    assert_one_line(serve(tmp_path, MAX_DISK="lots"), 2, "max_disk", "lots")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--listen", "fd:main"], "no socket named main"),
        (["--listen", "192.0.2.1:0"], "listen: cannot open 192.0.2.1:0: "),
        (["--listen", "unix:/nowhere/at/all"], "listen: cannot open unix:/nowhere/at/all: "),
        (["--listen", "unix:/dev/null"], "/dev/null exists and is no socket"),
        (["--storage", "tape:/dev/st0"], "tape"),
        (["--storage", "file:/dev/null"], "/dev/null"),
        (["--data-dir", "/dev/null"], "/dev/null"),
        (["--data-dir", "/proc/nothing"], "/proc/nothing"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, arguments: list[str], part: str) -> None:
    """What only the machine can tell ends with 1 and names the thing."""
    assert_one_line(serve(tmp_path, *arguments), 1, part)


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    """A file that is no certificate is named by its setting."""
    (tmp_path / "nonsense").write_text("nonsense")
    tls = ("--tls-cert", str(tmp_path / "nonsense"), "--tls-key", str(tmp_path / "nonsense"))
    done = serve(tmp_path, "--listen", "https://127.0.0.1:0", *tls)
    assert_one_line(done, 1, "tls_cert")


def test_sockets_that_are_none(tmp_path: Path) -> None:
    """A service manager that hands over what cannot be listened on is told so."""
    command = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" -m filepipe serve 3</dev/null'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], capture_output=True, text=True, timeout=30,
        check=False, cwd=tmp_path, env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert_one_line(done, 1, "3")


def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    """A link in the place of the private folder is not followed."""
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data" / "filepipe").symlink_to(tmp_path / "elsewhere")
    assert_one_line(serve(tmp_path), 1, "data_dir", "belongs to somebody else")
    assert not list((tmp_path / "elsewhere").iterdir())
