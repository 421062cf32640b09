"""The service managers that we know, and what each must be asked so that it runs filepipe."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from filepipe.errors import FilepipeError

if TYPE_CHECKING:
    from filepipe.units import Installation

SYSTEMD_RUNS = Path("/run/systemd/system")  # sd_booted(3)
SYSTEMD_UNITS = Path("/etc/systemd/system")
LAUNCH_DAEMONS = Path("/Library/LaunchDaemons")
LINGERING = Path("/var/lib/systemd/linger")


class ServiceError(FilepipeError):
    """The system, or its service manager, did not do what it was asked to."""

    code = "service"


class Supervisor(Protocol):
    """A service manager, and where it looks for our unit."""

    @property
    def path(self) -> Path:
        """The file that holds the unit."""

    def render(self, facts: Installation) -> str:
        """Render the unit for this manager."""

    def install(self, unit: str, facts: Installation, *, now: bool) -> Iterator[str]:
        """Write and enable the unit, telling each step when it is done."""

    def uninstall(self) -> None:
        """Stop the service and remove its unit."""

    def status(self) -> tuple[bool, str]:
        """Whether the service runs, and a sentence about it."""


@dataclass(frozen=True, slots=True)
class Systemd:
    """systemd as the manager of the system or of one user."""

    system: bool

    @property
    def path(self) -> Path:
        """The file that holds the unit."""
        home = os.environ.get("XDG_CONFIG_HOME", "")
        config = Path(home) if home.startswith("/") else Path.home() / ".config"
        folder = SYSTEMD_UNITS if self.system else config / "systemd/user"
        return folder / "filepipe.service"

    def render(self, facts: Installation) -> str:
        """Render the unit for this manager."""
        from filepipe.units import systemd_unit, systemd_user_unit

        return systemd_unit(facts) if self.system else systemd_user_unit(facts)

    def install(self, unit: str, facts: Installation, *, now: bool) -> Iterator[str]:
        """Write and enable the unit, telling each step when it is done."""
        _write(self.path, unit)
        yield f"Wrote {self.path}."
        if not SYSTEMD_RUNS.is_dir():
            raise ServiceError("It could not be enabled: systemd does not run on this system.")
        if self.system and facts.storage_paths and _make_account():
            yield "Made the account filepipe, which owns the storage paths."
        self._ask("daemon-reload")
        self._ask("enable", "filepipe.service")
        if now:
            # Not `enable --now`: an older filepipe that runs must give way to this one.
            self._ask("restart", "filepipe.service")
        yield "Enabled and started filepipe.service." if now else "Enabled filepipe.service."
        if not self.system and not (LINGERING / _user_name()).exists():
            yield "It stops when you log out, unless you run: loginctl enable-linger"

    def uninstall(self) -> None:
        """Stop the service and remove its unit."""
        if SYSTEMD_RUNS.is_dir():
            self._ask("disable", "--now", "filepipe.service")
        _remove(self.path)
        if SYSTEMD_RUNS.is_dir():
            self._ask("daemon-reload")

    def status(self) -> tuple[bool, str]:
        """Whether the service runs, and a sentence about it."""
        if not SYSTEMD_RUNS.is_dir():
            return False, f"{self.path} is there, but systemd does not run on this system."
        names = "ActiveState,SubState,UnitFileState,StatusText"
        shown = self._ask("show", "filepipe.service", f"--property={names}")
        facts = dict(line.partition("=")[::2] for line in shown.splitlines())
        state, detail = facts.get("ActiveState", "unknown"), facts.get("SubState", "unknown")
        text = f": {facts['StatusText']}" if facts.get("StatusText") else ""
        enabled = facts.get("UnitFileState") or "not enabled"
        return state == "active", f"filepipe.service is {state} ({detail}), {enabled}{text}"

    def _ask(self, *arguments: str) -> str:
        return _run("systemctl", *([] if self.system else ["--user"]), *arguments)


@dataclass(frozen=True, slots=True)
class Launchd:
    """launchd as the manager of the system's daemons or of one user's agents."""

    system: bool

    @property
    def path(self) -> Path:
        """The file that holds the property list."""
        folder = LAUNCH_DAEMONS if self.system else Path.home() / "Library/LaunchAgents"
        return folder / "org.filepipe.plist"

    def render(self, facts: Installation) -> str:
        """Render the property list for this manager."""
        from filepipe.units import launchd_plist

        return launchd_plist(facts, system=self.system, log=self._log).decode()

    def install(self, unit: str, facts: Installation, *, now: bool) -> Iterator[str]:
        """Write the property list and load it, telling each step when it is done."""
        self._make_folders()
        _write(self.path, unit)
        yield f"Wrote {self.path}."
        if now:
            self._stop()
            _run("launchctl", "bootstrap", self._domain, str(self.path))
            yield f"Started {self._name}."

    def uninstall(self) -> None:
        """Stop the service and remove its property list."""
        self._stop()
        _remove(self.path)

    def status(self) -> tuple[bool, str]:
        """Whether the service runs, and a sentence about it."""
        try:
            shown = _run("launchctl", "print", self._name)
        except ServiceError:
            return False, f"{self._name} is installed, but not loaded."
        states = [line.strip() for line in shown.splitlines() if line.strip()[:8] == "state = "]
        state = states[0].removeprefix("state = ") if states else "unknown"
        return state == "running", f"{self._name} is {state}."

    def _stop(self) -> None:
        try:
            _run("launchctl", "bootout", self._name)
        except ServiceError:
            return  # it was not loaded

    def _make_folders(self) -> None:
        from filepipe.units import LAUNCHD_ACCOUNT, LAUNCHD_STATE

        self._log.parent.mkdir(parents=True, exist_ok=True)
        if not self.system:
            return
        try:
            for folder in (LAUNCHD_STATE, self._log.parent):
                folder.mkdir(0o700, parents=True, exist_ok=True)
                shutil.chown(folder, LAUNCHD_ACCOUNT)
        except LookupError:
            raise ServiceError(
                f"The system has no account {LAUNCHD_ACCOUNT}: make one, or install with --user."
            ) from None
        except OSError as error:
            raise ServiceError(f"{error.filename}: {error.strerror}.") from None

    @property
    def _log(self) -> Path:
        from filepipe.units import LAUNCHD_LOG

        return LAUNCHD_LOG if self.system else Path.home() / "Library/Logs/filepipe.log"

    @property
    def _domain(self) -> str:
        return "system" if self.system else f"gui/{os.getuid()}"

    @property
    def _name(self) -> str:
        from filepipe.units import LAUNCHD_LABEL

        return f"{self._domain}/{LAUNCHD_LABEL}"


def supervisor(*, system: bool) -> Supervisor:
    """Choose the manager of this system; `system` asks for its own, not for one user's."""
    if sys.platform == "darwin":
        return Launchd(system)
    if shutil.which("systemctl"):
        return Systemd(system)
    raise ServiceError(
        "This system has neither systemd nor launchd: have its own service manager run"
        " `filepipe serve`."
    )


def _user_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _make_account() -> bool:
    # A dynamic account owns nothing outside its state directory; a lasting one of that name is
    # taken instead (systemd.exec(5), DynamicUser=).
    import pwd

    from filepipe.units import ACCOUNT

    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        _run("useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", ACCOUNT)
        return True
    return False


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.chmod(0o644)
        beside.replace(path)
    except OSError as error:
        raise ServiceError(f"{path} cannot be written: {error.strerror}.") from None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ServiceError(f"{path} cannot be removed: {error.strerror}.") from None


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise ServiceError(f"{command[0]} cannot be run: {error.strerror}.") from None
    if done.returncode:
        said = done.stderr.strip().partition("\n")[0] or f"exit status {done.returncode}"
        raise ServiceError(f"`{' '.join(command)}` failed: {said}")
    return done.stdout
