"""The secrets of uploads: given, found or made, and never printed."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from filepipe.config import load_settings
from filepipe.credentials import LENGTH, find_or_make
from filepipe.errors import ConfigError
from tests.conftest import Daemon

GIVEN = "given-by-the-settings-0123456789abcdef"


def test_what_is_missing_is_made_once(tmp_path: Path) -> None:
    """256 bits each, in files that nobody else can read; every later start finds them."""
    before = os.umask(0)
    try:
        made = find_or_make(tmp_path, None, None, None)
    finally:
        os.umask(before)
    folder = tmp_path / "secrets"
    names = ["api_key", "jwt_secret", "webhook_secret"]
    assert {name: folder / name for name in names} == made.places
    assert sorted(os.listdir(folder)) == names
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(bytes.fromhex(path.read_text())) == LENGTH
    assert len({made.api_key, made.jwt_secret, made.webhook_secret}) == 3
    assert (folder / "api_key").read_bytes().strip() == made.api_key
    assert find_or_make(tmp_path, None, None, None) == made
    assert find_or_make(tmp_path / "secrets", None, None, None).api_key != made.api_key


def test_what_is_given_is_taken(tmp_path: Path) -> None:
    """And nothing is made for it; what was made before stays for later."""
    both = find_or_make(tmp_path, GIVEN, GIVEN + "\udcff", GIVEN)
    assert (both.api_key, both.jwt_secret) == (GIVEN.encode(), GIVEN.encode() + b"\xff")
    assert os.listdir(tmp_path) == []
    one = find_or_make(tmp_path, GIVEN, None, GIVEN)
    assert one.places == {"jwt_secret": tmp_path / "secrets" / "jwt_secret"}
    assert os.listdir(tmp_path / "secrets") == ["jwt_secret"]
    assert find_or_make(tmp_path, None, GIVEN, GIVEN).jwt_secret == GIVEN.encode()
    assert find_or_make(tmp_path, GIVEN, None, GIVEN).jwt_secret == one.jwt_secret


def test_they_do_not_show_by_accident(tmp_path: Path) -> None:
    """A traceback with local variables has only where they are."""
    made = find_or_make(tmp_path, None, GIVEN, GIVEN)
    assert made.api_key.decode() not in repr(made)
    assert GIVEN not in repr(made)
    assert str(tmp_path) in repr(made)


def test_one_of_a_person_is_taken_as_it_is(tmp_path: Path) -> None:
    """Without the end of its line; what was open to others is closed."""
    (tmp_path / "secrets").mkdir()
    file = tmp_path / "secrets" / "api_key"
    file.write_text(GIVEN + "\n")
    file.chmod(0o644)
    assert find_or_make(tmp_path, None, GIVEN, GIVEN).api_key == GIVEN.encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "hunter2", "x" * (LENGTH - 1) + "\n"])
def test_one_that_is_too_short_is_refused(tmp_path: Path, content: str) -> None:
    """It is neither used nor replaced."""
    (tmp_path / "secrets").mkdir()
    file = tmp_path / "secrets" / "jwt_secret"
    file.write_text(content)
    with pytest.raises(ConfigError, match="jwt_secret holds less than 32 bytes") as caught:
        find_or_make(tmp_path, None, None, None)
    assert not content.strip() or content.strip() not in str(caught.value)
    assert file.read_text() == content


def test_no_link_is_followed(tmp_path: Path) -> None:
    """What is to be written here is not written elsewhere."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "api_key.new").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"^data_dir: .*/api_key\.new: "):
        find_or_make(tmp_path, None, None, None)
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """One clear sentence for a folder, for a pipe that nobody writes to, for a file above it."""
    (tmp_path / "secrets").mkdir()
    os.mkfifo(tmp_path / "secrets" / "api_key")
    with pytest.raises(ConfigError, match=r"api_key is not a file$"):
        find_or_make(tmp_path, None, None, None)
    (tmp_path / "secrets" / "api_key").unlink()
    (tmp_path / "secrets" / "api_key").mkdir()
    with pytest.raises(ConfigError, match=r"^data_dir: "):
        find_or_make(tmp_path, None, None, None)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"^data_dir: .*: Not a directory$"):
        find_or_make(tmp_path / "file", None, None, None)


def test_one_that_was_never_finished_is_made_anew(tmp_path: Path) -> None:
    """A crash in the middle leaves no half of a secret."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "api_key.new").write_text("half" * 100)
    made = find_or_make(tmp_path, None, GIVEN, GIVEN)
    assert os.listdir(tmp_path / "secrets") == ["api_key"]
    assert len(made.api_key) == 2 * LENGTH


def test_the_log_says_where_and_not_what(start: Callable[..., Daemon]) -> None:
    """Of those that were given and of those that were made, at any level."""
    daemon = start("--log-level", "debug", env={"JWT_SECRET": GIVEN})
    made = (daemon.data_dir / "filepipe/secrets/api_key").read_text().strip()
    assert daemon.stop(signal.SIGTERM) == 0
    (line,) = [line for line in daemon.log() if line["event"] == "uploads"]
    assert line["key_in"] == str(daemon.data_dir / "filepipe/secrets/api_key")
    assert line["signed_by"] == "environment variable JWT_SECRET"
    assert line["webhooks_signed_by"] == str(daemon.data_dir / "filepipe/secrets/webhook_secret")
    text = daemon.log_path.read_text()
    assert made not in text
    assert GIVEN not in text


@pytest.mark.parametrize("name", ["API_KEY", "JWT_SECRET", "WEBHOOK_SECRET"])
def test_a_short_one_stops_the_start(name: str, tmp_path: Path) -> None:
    """One line, and the exit code of a wrong setting."""
    command = [sys.executable, "-m", "filepipe", "serve", "--data-dir", str(tmp_path / "data")]
    environment = os.environ | {name: "x" * 31}
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    expected = f"{name.lower()}: is shorter than 32 bytes (environment variable {name})"
    assert (done.returncode, done.stderr) == (2, f"filepipe: {expected}\n")
    assert not (tmp_path / "data").exists()


def test_the_secrets_of_config_init_are_long_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one command makes, the other takes."""
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "filepipe", "config", "init", "--path", "f.toml"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    settings = load_settings(config=tmp_path / "f.toml")
    assert settings.api_key
    assert settings.source_of("api_key") == str(tmp_path / "secrets.toml")
