"""The commands of `filepipe service`, with a service manager that only takes notes."""

from __future__ import annotations

import os
import plistlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from filepipe.cli import supervisors
from filepipe.cli.main import main
from filepipe.config import describe

Run = Callable[..., int]


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for the system's tools, a home and a system, all below `tmp_path`."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("systemctl", "launchctl", "useradd"):
        fake(folder, name)
    for name in [name for item in describe() for name in item.variables]:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "empty").mkdir()
    (tmp_path / "systemd").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("FILEPIPE_CONFIG", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(supervisors, "SYSTEMD_RUNS", tmp_path / "systemd")
    monkeypatch.setattr(supervisors, "SYSTEMD_UNITS", tmp_path / "etc")
    monkeypatch.setattr(supervisors, "LAUNCH_DAEMONS", tmp_path / "Library")
    monkeypatch.setattr(supervisors, "LINGERING", tmp_path / "linger")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return folder


def fake(folder: Path, name: str, says: str = "", complains: str = "", code: int = 0) -> None:
    """Make a tool that writes down how it was called."""
    (folder / f"{name}.out").write_text(says)
    tool = folder / name
    tool.write_text(
        f"#!/bin/sh\necho {name} $@ >>{folder}/calls\ncat {folder}/{name}.out\n"
        f"echo '{complains}' >&2\nexit {code}\n"
    )
    tool.chmod(0o755)


def calls(tools: Path) -> list[str]:
    """Every call of a tool, in order."""
    notes = tools / "calls"
    return notes.read_text().splitlines() if notes.exists() else []


@pytest.fixture
def run(tools: Path) -> Run:
    """Call the command as the shell would; the result is its exit status."""

    def run(*tokens: str) -> int:
        with pytest.raises(SystemExit) as caught:
            main(["service", *tokens])
        assert isinstance(caught.value.code, int)
        return caught.value.code

    return run


def test_install_as_root(run: Run, tools: Path, tmp_path: Path) -> None:
    """A service of the system: written, enabled, and started or restarted."""
    assert run("install") == 0
    unit = tmp_path / "etc/filepipe.service"
    assert "DynamicUser=yes" in unit.read_text()
    assert unit.stat().st_mode & 0o777 == 0o644
    assert calls(tools) == [
        "systemctl daemon-reload",
        "systemctl enable filepipe.service",
        "systemctl restart filepipe.service",
    ]


def test_install_for_a_user(
    run: Run, tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anyone but root gets a unit of their own, without being asked."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run("install", "--no-now") == 0
    unit = tmp_path / "home/.config/systemd/user/filepipe.service"
    assert "DynamicUser" not in unit.read_text()
    assert calls(tools) == [
        "systemctl --user daemon-reload",
        "systemctl --user enable filepipe.service",
    ]


def test_install_for_the_user_root(run: Run, tools: Path, tmp_path: Path) -> None:
    """Root may want a unit of its own as well."""
    assert run("install", "--user") == 0
    assert (tmp_path / "home/.config/systemd/user/filepipe.service").exists()
    assert all(" --user " in call for call in calls(tools))


def test_dry_run_touches_nothing(
    run: Run, tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What would be written is printed, and that alone on stdout."""
    assert run("install", "--dry-run") == 0
    said = capsys.readouterr()
    assert "[Service]" in said.out
    assert said.err == f"Would write {tmp_path}/etc/filepipe.service:\n"
    assert not (tmp_path / "etc").exists()
    assert calls(tools) == []


def test_the_unit_follows_the_settings_file(
    run: Run, tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Storage paths, limits and the file itself arrive in the unit."""
    monkeypatch.setattr("filepipe.units.ACCOUNT", "nobody-has-this-name")
    config = tmp_path / "filepipe.toml"
    config.write_text(
        'data_dir = "/mnt/data"\nstorage = "file:/mnt/fast/spill"\n'
        'max_memory = "1 GiB"\ndrain_timeout = "2 min"\nhttpfstream_root = "/mnt/logs"\n'
    )
    assert run("install", "--config", str(config)) == 0
    unit = (tmp_path / "etc/filepipe.service").read_text()
    assert "RequiresMountsFor=/mnt/data/filepipe /mnt/logs /mnt/fast/spill\n" in unit
    assert "MemoryMax=3072M\n" in unit
    assert "TimeoutStopSec=180\n" in unit
    assert f"LoadCredential=config:{config}\n" in unit
    assert "secrets.toml" not in unit
    assert calls(tools)[0].startswith("useradd --system ")
    assert calls(tools)[0].endswith(" nobody-has-this-name")


def test_the_unit_knows_the_secrets_and_the_database(
    run: Run, tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secrets beside the settings file, and the folder of a database elsewhere."""
    monkeypatch.setattr("filepipe.units.ACCOUNT", "nobody-has-this-name")
    config, secrets = tmp_path / "filepipe.toml", tmp_path / "secrets.toml"
    config.write_text('database_path = "/mnt/records/uploads.db"\n')
    secrets.write_text(f"api_key = '{'k' * 32}'")
    secrets.chmod(0o600)
    assert run("install", "--config", str(config)) == 0
    unit = (tmp_path / "etc/filepipe.service").read_text()
    assert "RequiresMountsFor=/mnt/records\n" in unit
    assert f"LoadCredential=config:{config}\n" in unit
    assert f"LoadCredential=secrets.toml:{secrets}\n" in unit
    assert "kkk" not in unit


def test_a_program_in_a_home_is_shown_to_the_sandbox(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path that was run is the path that the service runs, with what belongs to it."""
    program = tmp_path / "venv/bin/filepipe"
    program.parent.mkdir(parents=True)
    program.write_text("")
    monkeypatch.setattr(sys, "argv", [str(program), "service", "install"])
    monkeypatch.setattr(sys, "prefix", "/home/me/venv")
    assert run("install") == 0
    unit = (tmp_path / "etc/filepipe.service").read_text()
    assert f"ExecStart={program} serve\n" in unit
    assert "BindReadOnlyPaths=/home/me/venv\n" in unit


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_settings_that_a_service_would_not_see(
    where: str,
    run: Run,
    tools: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What only this shell knows would be lost silently, so it is refused."""
    if where == ".env":
        Path(".env").write_text("MAX_MEMORY=1G\n")
    else:
        monkeypatch.setenv("MAX_MEMORY", "1G")
    assert run("install") == 2
    said = capsys.readouterr().err
    assert "MAX_MEMORY" in said
    assert said.count("\n") == 1
    assert calls(tools) == []


def test_a_wrong_settings_file_is_not_installed(
    run: Run, tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence and exit 2, before anything is written."""
    config = tmp_path / "filepipe.toml"
    config.write_text("max_memory = 'plenty'\n")
    assert run("install", "--config", str(config)) == 2
    assert "max_memory" in capsys.readouterr().err
    assert not (tmp_path / "etc").exists()


def test_systemd_that_does_not_run(
    run: Run, tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a container the unit is written for later, and that it was not enabled is said."""
    (tmp_path / "systemd").rmdir()
    assert run("install") == 1
    said = capsys.readouterr()
    assert (tmp_path / "etc/filepipe.service").exists()
    assert said.out == f"Wrote {tmp_path}/etc/filepipe.service.\n"
    assert said.err == "filepipe: It could not be enabled: systemd does not run on this system.\n"
    assert calls(tools) == []


@pytest.mark.parametrize("command", ["install", "uninstall", "status"])
def test_neither_systemd_nor_launchd(
    command: str,
    run: Run,
    tools: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Elsewhere every command is one sentence and exit 1."""
    (tools / "systemctl").unlink()
    monkeypatch.setenv("PATH", str(tools))
    assert run(command) == 1
    assert "neither systemd nor launchd" in capsys.readouterr().err


def test_what_systemctl_complains_of_is_passed_on(
    run: Run, tools: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first line of the manager's own words, and exit 1."""
    fake(tools, "systemctl", complains="Failed to connect to bus", code=1)
    assert run("install") == 1
    assert capsys.readouterr().err == (
        "filepipe: `systemctl daemon-reload` failed: Failed to connect to bus\n"
    )


def test_a_unit_that_cannot_be_written(
    run: Run, tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file where the folder should be is one sentence, not a traceback."""
    (tmp_path / "etc").write_text("")
    assert run("install") == 1
    assert capsys.readouterr().err.startswith(
        f"filepipe: {tmp_path}/etc/filepipe.service cannot be written"
    )


def test_uninstall(run: Run, tools: Path, tmp_path: Path) -> None:
    """Stopped, disabled and removed; a second time there is nothing to do, and it says so."""
    assert run("install", "--no-now") == 0
    (tools / "calls").unlink()
    assert run("uninstall") == 0
    assert list((tmp_path / "etc").iterdir()) == []
    assert calls(tools) == [
        "systemctl disable --now filepipe.service",
        "systemctl daemon-reload",
    ]
    assert run("uninstall") == 1


@pytest.mark.parametrize(("state", "code"), [("active", 0), ("failed", 3)])
def test_status(
    state: str, code: int, run: Run, tools: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with what the daemon says of itself; the exit status tells a script."""
    run("install", "--no-now")
    capsys.readouterr()
    fake(
        tools,
        "systemctl",
        f"ActiveState={state}\nSubState=sub\nUnitFileState=enabled\nStatusText=3 keys\n",
    )
    assert run("status") == code
    assert capsys.readouterr().out == f"filepipe.service is {state} (sub), enabled: 3 keys\n"


def test_status_of_nothing(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Not installed is said, with the place that was looked at."""
    assert run("status") == 1
    assert "is not installed" in capsys.readouterr().err


def test_status_for_a_user_of_the_systems_service(
    run: Run, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has no unit of their own means the system's."""
    run("install", "--no-now")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    fake(tools, "systemctl", "ActiveState=active\n")
    assert run("status") == 0
    assert "--user" not in calls(tools)[-1]


@pytest.fixture
def _macos(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "getuid", lambda: 501)


@pytest.mark.usefixtures("_macos")
def test_launchd_for_a_user(run: Run, tools: Path, tmp_path: Path) -> None:
    """Written where agents are, and loaded anew, whether it was loaded before or not."""
    assert run("install", "--user") == 0
    plist = tmp_path / "home/Library/LaunchAgents/org.filepipe.plist"
    content = plistlib.loads(plist.read_bytes())
    assert content["StandardErrorPath"] == f"{tmp_path}/home/Library/Logs/filepipe.log"
    assert calls(tools) == [
        "launchctl bootout gui/501/org.filepipe",
        f"launchctl bootstrap gui/501 {plist}",
    ]


@pytest.mark.usefixtures("_macos")
def test_launchd_status_and_uninstall(
    run: Run, tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its state is read from what launchctl prints; afterwards nothing is left."""
    run("install", "--user", "--no-now")
    capsys.readouterr()
    fake(tools, "launchctl", "org.filepipe = {\n\tstate = running\n}\n")
    assert run("status", "--user") == 0
    assert capsys.readouterr().out == "gui/501/org.filepipe is running.\n"
    fake(tools, "launchctl", code=113)
    assert run("status", "--user") == 3
    assert run("uninstall", "--user") == 0
    assert list((tmp_path / "home/Library/LaunchAgents").iterdir()) == []


@pytest.mark.usefixtures("_macos")
def test_launchd_daemon_without_its_account(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon of the system needs the account _filepipe, and nothing is written without."""
    monkeypatch.setattr("filepipe.units.LAUNCHD_STATE", tmp_path / "state")
    monkeypatch.setattr("filepipe.units.LAUNCHD_LOG", tmp_path / "log/filepipe.log")
    assert run("install") == 1
    assert "_filepipe" in capsys.readouterr().err
    assert not (tmp_path / "Library").exists()
