"""The files for systemd and launchd, as text."""

from __future__ import annotations

import plistlib
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.errors import ConfigError
from filepipe.units import (
    Installation,
    launchd_plist,
    systemd_socket,
    systemd_unit,
    systemd_user_unit,
)

DISK = Path("/mnt/disk/filepipe")


def values(unit: str, name: str) -> list[str]:
    """What a unit assigns to a directive, in order."""
    return [line.removeprefix(f"{name}=") for line in unit.splitlines() if f"{name}=" in line[:40]]


def words(text: str) -> list[str]:
    """Read a line as systemd does: unquote, then expand the specifier %% and the variable $$."""
    return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(text)]


def test_defaults_are_one_program_and_one_state_directory() -> None:
    """Nothing of the disk is opened up that the settings do not ask for."""
    unit = systemd_unit(Installation())
    assert values(unit, "ExecStart") == ["/usr/local/bin/filepipe serve"]
    assert values(unit, "StateDirectory") == ["filepipe"]
    assert values(unit, "ProtectHome") == ["yes"]
    for name in ("RequiresMountsFor", "ReadWritePaths", "BindPaths", "BindReadOnlyPaths"):
        assert values(unit, name) == []


def test_a_storage_path_needs_its_mount_and_may_be_written() -> None:
    """Without the mount there is no start; with it, the folder is made and opened up."""
    unit = systemd_unit(Installation(storage_paths=(DISK, Path("/mnt/my disk"))))
    assert values(unit, "RequiresMountsFor") == ['/mnt/disk/filepipe "/mnt/my disk"']
    assert values(unit, "ReadWritePaths") == ["-/mnt/disk/filepipe", '"-/mnt/my disk"']
    assert values(unit, "ExecStartPre") == [
        "+/usr/bin/install -d -m 0700 -o filepipe -- /mnt/disk/filepipe",
        '+/usr/bin/install -d -m 0700 -o filepipe -- "/mnt/my disk"',
    ]


@pytest.mark.parametrize("hidden", ["/home/me", "/root", "/tmp", "/var/tmp/x", "/run/user/1"])
def test_what_the_sandbox_hides_is_shown_path_by_path(hidden: str) -> None:
    """A program or a storage in a home is bound into the hidden folder, and nothing beside it."""
    program, storage = Path(hidden, "program"), Path(hidden, "storage")
    unit = systemd_unit(
        Installation(
            program=(f"{program}/bin/filepipe",),
            program_paths=(program, Path("/usr")),
            storage_paths=(storage,),
        )
    )
    assert values(unit, "ProtectHome") == ["tmpfs"]
    assert values(unit, "BindReadOnlyPaths") == [str(program)]
    assert values(unit, "BindPaths") == [f"-{storage}"]
    assert values(unit, "ReadWritePaths") == []


def test_private_files_are_credentials() -> None:
    """The account of the service reads copies, so that the files may be private to root."""
    unit = systemd_unit(
        Installation(config=Path("/etc/file pipe.toml"), tls=(Path("/etc/c.pem"), Path("/etc/k")))
    )
    assert values(unit, "LoadCredential") == [
        "config:/etc/file pipe.toml",
        "tls-cert:/etc/c.pem",
        "tls-key:/etc/k",
    ]
    assert values(unit, "ExecStart") == [
        "/usr/local/bin/filepipe serve --config ${CREDENTIALS_DIRECTORY}/config"
        " --tls-cert ${CREDENTIALS_DIRECTORY}/tls-cert --tls-key ${CREDENTIALS_DIRECTORY}/tls-key"
    ]


def test_secrets_lie_beside_the_settings() -> None:
    """The daemon finds its copy of the one beside its copy of the other."""
    files = Installation(config=Path("/etc/f.toml"), secrets=Path("/etc/secrets.toml"))
    unit = systemd_unit(files)
    assert values(unit, "LoadCredential") == [
        "config:/etc/f.toml",
        "secrets.toml:/etc/secrets.toml",
    ]
    assert values(unit, "ExecStart") == [
        "/usr/local/bin/filepipe serve --config ${CREDENTIALS_DIRECTORY}/config"
    ]


def test_limits_follow_the_settings() -> None:
    """A longer drain gets a longer stop, more memory a higher ceiling, no limit none."""
    unit = systemd_unit(Installation(max_memory=1 << 30, drain_timeout=600.5))
    assert values(unit, "TimeoutStopSec") == ["661"]
    assert values(unit, "MemoryMax") == ["3072M"]
    assert values(systemd_unit(Installation(max_memory=None)), "MemoryMax") == []


def test_a_users_manager_is_asked_for_nothing_that_it_cannot_do() -> None:
    """No accounts, capabilities or mounts; the filters of system calls stay."""
    unit = systemd_user_unit(Installation(config=Path("/home/me/f.toml"), storage_paths=(DISK,)))
    assert values(unit, "ExecStart") == ["/usr/local/bin/filepipe serve --config /home/me/f.toml"]
    assert values(unit, "RequiresMountsFor") == [str(DISK)]
    assert values(unit, "WantedBy") == ["default.target"]
    assert values(unit, "NoNewPrivileges") == ["yes"]
    for name in ("DynamicUser", "Protect", "Private", "Capability", "ExecStartPre", "ReadWrite"):
        assert name not in unit


def test_the_sockets_name_is_its_protocol() -> None:
    """systemd's default name would be that of the unit, which is no protocol."""
    assert values(systemd_socket(), "FileDescriptorName") == ["auto"]


@given(name=st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" $%\"'\\:")))
def test_any_printable_path_arrives_as_it_is(name: str) -> None:
    """Quoted for the unit, then read by systemd's rules, a path is what it was."""
    path = Path("/etc", name.replace("/", "") + "x")
    (line,) = values(systemd_user_unit(Installation(config=path)), "ExecStart")
    assert words(line) == ["/usr/local/bin/filepipe", "serve", "--config", str(path)]
    unit = systemd_unit(Installation(config=path, storage_paths=(path,)))
    (line,) = values(unit, "ReadWritePaths")
    assert [word.replace("%%", "%") for word in shlex.split(line)] == [f"-{path}"]
    (line,) = values(unit, "LoadCredential")
    assert line.replace("%%", "%") == f"config:{path}"


@pytest.mark.parametrize(
    "path", ["/mnt/a\nExecStart=/bin/sh", "/mnt/\0", "/mnt/\udcff", "mnt/a", "/a\\"]
)
def test_a_path_that_no_unit_can_hold_is_refused(path: str) -> None:
    """A newline would be another directive; a relative path means nothing to a manager."""
    with pytest.raises(ConfigError):
        systemd_unit(Installation(storage_paths=(Path(path),)))


@pytest.mark.parametrize("name", ['a"b', "a'b", "a\\b"])
def test_a_program_that_systemd_would_not_run(name: str) -> None:
    """systemd takes no quotes in the path of a program, however they are written."""
    with pytest.raises(ConfigError, match="quotes or backslashes"):
        systemd_unit(Installation(program=(f"/opt/{name}/filepipe",)))


def test_launchd_daemon() -> None:
    """The system's daemon has an account, a state directory and a log of its own."""
    content = plistlib.loads(launchd_plist(Installation(drain_timeout=45)))
    assert content["Label"] == "org.filepipe"
    assert content["ProgramArguments"] == ["/usr/local/bin/filepipe", "serve"]
    assert content["UserName"] == "_filepipe"
    assert content["EnvironmentVariables"]["STATE_DIRECTORY"].startswith("/Library/")
    assert content["Umask"] == 0o077
    assert content["KeepAlive"] == {"SuccessfulExit": False}
    assert content["ExitTimeOut"] == 105


def test_launchd_agent() -> None:
    """A user's agent runs as that user, who has a state directory already."""
    log = Path("/Users/me/Library/Logs/filepipe.log")
    content = plistlib.loads(
        launchd_plist(Installation(config=Path("/Users/me/f.toml")), system=False, log=log)
    )
    assert content["ProgramArguments"][2:] == ["--config", "/Users/me/f.toml"]
    assert content["StandardErrorPath"] == str(log)
    assert "UserName" not in content
    assert "EnvironmentVariables" not in content


def test_launchd_waits_for_each_volume_once() -> None:
    """Two folders of one disk are one wait; a folder of the system's disk is none."""
    paths = ("/Volumes/My Disk/a", "/Volumes/My Disk/b", "/Volumes/Other/c", "/var/x", "/Volumes")
    content = plistlib.loads(launchd_plist(Installation(storage_paths=tuple(map(Path, paths)))))
    assert content["ProgramArguments"] == [
        "/bin/sh",
        "-c",
        "until [ -d '/Volumes/My Disk' ]; do sleep 5; done; "
        "until [ -d /Volumes/Other ]; do sleep 5; done; "
        "exec /usr/local/bin/filepipe serve",
    ]


def test_the_waiting_shell_becomes_the_daemon(tmp_path: Path) -> None:
    """Run with a folder in place of the volume and `sleep` replaced by the disk's arrival."""
    volume, sleep = tmp_path / "My Disk", tmp_path / "sleep"
    sleep.write_text(f"#!/bin/sh\nmkdir '{volume}'\n")
    sleep.chmod(0o700)
    program = tmp_path / "file pipe"
    program.write_text('#!/bin/sh\necho "$$ $@"\n')
    program.chmod(0o700)
    content = plistlib.loads(
        launchd_plist(
            Installation(program=(str(program),), storage_paths=(Path("/Volumes/My Disk/a"),))
        )
    )
    *shell, script = content["ProgramArguments"]
    script = script.replace("/Volumes/My Disk", str(volume))
    with subprocess.Popen(
        [*shell, script], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, stdout=subprocess.PIPE
    ) as process:
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert said == f"{process.pid} serve\n".encode()
