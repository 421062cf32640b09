"""Where the units go, and how the managers are asked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from filepipe.cli import supervisors
from filepipe.cli.supervisors import Launchd, ServiceError, Systemd, supervisor
from filepipe.units import Installation


@pytest.mark.parametrize(
    ("config_home", "folder"), [("/xdg", "/xdg"), ("relative", "/home/me/.config"), ("", None)]
)
def test_where_a_users_unit_goes(
    config_home: str, folder: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XDG_CONFIG_HOME counts if it is absolute, as its specification says."""
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CONFIG_HOME", config_home)
    expected = Path(folder or "/home/me/.config", "systemd/user/filepipe.service")
    assert Systemd(system=False).path == expected


def test_where_the_systems_units_go() -> None:
    """The administrator's folders, not those of packages."""
    assert Systemd(system=True).path == Path("/etc/systemd/system/filepipe.service")
    assert Launchd(system=True).path == Path("/Library/LaunchDaemons/org.filepipe.plist")


def test_macos_has_launchd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with a systemctl in the PATH, which some packages bring."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert supervisor(system=True) == Launchd(system=True)


def test_an_existing_account_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second install finds the account of the first, and makes none."""
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr("filepipe.units.ACCOUNT", "root")
    monkeypatch.setattr(supervisors, "SYSTEMD_RUNS", tmp_path)
    monkeypatch.setattr(supervisors, "SYSTEMD_UNITS", tmp_path)
    monkeypatch.setattr(supervisors, "_run", lambda *command: asked.append(command))
    facts = Installation(storage_paths=(tmp_path,))
    said = list(Systemd(system=True).install("text", facts, now=False))
    assert said == [f"Wrote {tmp_path}/filepipe.service.", "Enabled filepipe.service."]
    assert {command[0] for command in asked} == {"systemctl"}


def test_a_tool_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence that names it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceError, match=r"^launchctl cannot be run: No such file"):
        supervisors._run("launchctl", "print")


def test_a_tool_that_fails_silently() -> None:
    """Without words of its own, its exit status is told."""
    with pytest.raises(ServiceError, match=r"^`false` failed: exit status 1$"):
        supervisors._run("false")
