"""The files in deploy/, judged by systemd itself and by what renders them."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from filepipe.config import Settings, describe
from filepipe.units import (
    Installation,
    launchd_plist,
    systemd_socket,
    systemd_unit,
    systemd_user_unit,
)

DEPLOY = Path(__file__).parents[2] / "deploy"
PROGRAM = "/usr/local/bin/filepipe"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
# A unit with all that `service install` may add; its paths need every kind of quoting.
FULL = Installation(
    program=(PROGRAM,),
    config=Path('/etc/file "pipe"/100%.toml'),
    tls=(Path("/etc/ssl/cert.pem"), Path("/etc/ssl/$key.pem")),
    storage_paths=(Path("/mnt/my disk/50%"), Path("/home/me/a:b")),
    program_paths=(Path("/home/me/my venv"),),
)


def test_deploy_holds_what_is_rendered() -> None:
    """The files to copy are those that `service install` writes with defaults."""
    assert (DEPLOY / "filepipe.service").read_text() == systemd_unit(Installation())
    assert (DEPLOY / "filepipe.socket").read_text() == systemd_socket()
    assert (DEPLOY / "org.filepipe.plist").read_bytes() == launchd_plist(Installation())


def test_the_renderers_defaults_are_the_daemons() -> None:
    """The deployed unit gives the room and the time that the default settings ask for."""
    settings = Settings()
    assert Installation().max_memory == settings.max_memory
    assert Installation().drain_timeout == settings.drain_timeout


def test_the_plist_can_be_read() -> None:
    """It is the XML that launchd wants, and not the binary form."""
    text = (DEPLOY / "org.filepipe.plist").read_bytes()
    assert text.startswith(b"<?xml")
    assert plistlib.loads(text)["Label"] == "org.filepipe"


def test_the_sample_settings_are_the_defaults() -> None:
    """Each line of the sample, with its mark removed, is a setting with its default."""
    lines = (DEPLOY / "filepipe.toml").read_text().splitlines()
    text = "\n".join(
        line[1:] for line in lines if line.startswith("#") and line[1:2] not in ("", " ")
    )
    given = tomllib.loads(text)
    assert set(given) <= {item.name for item in describe()}
    assert len(given) >= 5
    example = Settings(**{**given, "max_disk": "unlimited"})
    for name in set(given) - {"data_dir", "max_disk", "public_url"}:
        assert getattr(example, name) == getattr(Settings(), name), name


@needs_systemd
@pytest.mark.parametrize("installation", [Installation(), FULL], ids=["deployed", "full"])
def test_systemd_understands_the_unit(tmp_path: Path, installation: Installation) -> None:
    """No warning, about the unit or about the socket that activates it."""
    folder = tmp_path / "system"
    # systemd wants the program to exist.
    write(folder, "filepipe.service", systemd_unit(installation).replace(PROGRAM, "/bin/true"))
    write(folder, "filepipe.socket", systemd_socket())
    assert analyze("verify", f"{folder}/filepipe.service", f"{folder}/filepipe.socket") == (0, "")


@needs_systemd
@pytest.mark.parametrize("name", ["plain", "with space", "100%n", "a:b;c $HOME ${x}"])
def test_systemd_finds_the_program_at_any_path(tmp_path: Path, name: str) -> None:
    """What the renderer quotes is what systemd looks for: it complains if nothing is there."""
    program = tmp_path / name / "filepipe"
    program.parent.mkdir()
    unit = systemd_unit(Installation(program=(str(program),)))
    write(tmp_path / "system", "filepipe.service", unit)
    code, said = analyze("verify", f"{tmp_path}/system/filepipe.service")
    assert code != 0
    assert f"{program} is not executable: No such file" in said
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert analyze("verify", f"{tmp_path}/system/filepipe.service") == (0, "")


@needs_systemd
def test_systemd_understands_a_users_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No warning from the manager of a user either."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    unit = systemd_user_unit(FULL).replace(PROGRAM, "/bin/true")
    write(tmp_path / "user", "filepipe.service", unit)
    assert analyze("verify", "--user", f"{tmp_path}/user/filepipe.service") == (0, "")


@needs_systemd
@pytest.mark.parametrize("installation", [Installation(), FULL], ids=["deployed", "full"])
def test_the_sandbox_leaves_little(tmp_path: Path, installation: Installation) -> None:
    """An exposure of at most 1.3: the network, local sockets and the host's root stay."""
    write(tmp_path, "filepipe.service", systemd_unit(installation))
    code, said = analyze(
        "security", "--offline=true", "--threshold=13", "--no-pager", f"{tmp_path}/filepipe.service"
    )
    assert code == 0, said


def write(folder: Path, name: str, text: str) -> None:
    """Put a unit where systemd-analyze may find its neighbours."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)


def analyze(*arguments: str) -> tuple[int, str]:
    """The exit status of systemd-analyze, and what it said."""
    done = subprocess.run(
        ["systemd-analyze", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
        check=False,
    )
    return done.returncode, done.stdout
