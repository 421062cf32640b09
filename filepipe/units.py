"""What systemd and launchd are told about filepipe: their files, rendered by pure functions.

Rule 1: the system unit may write to nothing but its state directory and the storage paths.
Rule 2: what the sandbox hides and the daemon needs (a program in a home, a storage under /home) is
shown to it path by path; the sandbox is never widened for it.
Rule 3: a storage path is a precondition: without its mount the daemon does not start, lest it fill
the disk below the mount point.
"""

from __future__ import annotations

import math
import plistlib
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filepipe.config import SECRETS_NAME
from filepipe.errors import ConfigError

ACCOUNT = "filepipe"  # the unit's name, and so the name that DynamicUser= chooses
LAUNCHD_LABEL = "org.filepipe"
LAUNCHD_ACCOUNT = "_filepipe"
LAUNCHD_STATE = Path("/Library/Application Support/filepipe")
LAUNCHD_LOG = Path("/Library/Logs/filepipe/filepipe.log")
STATE_DIRECTORY = Path("/var/lib/filepipe")
# What ProtectHome= and PrivateTmp= take away.
HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108
_CREDENTIALS = "${CREDENTIALS_DIRECTORY}"
_PLAIN = re.compile(r"[\w@./=+,${}%-]+")
# Flushing and closing after the drain, and the manager's own reserve.
STOP_RESERVE = 60
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Installation:
    """What a service needs to know of the program and its settings."""

    program: tuple[str, ...] = ("/usr/local/bin/filepipe",)
    config: Path | None = None
    secrets: Path | None = None  # beside the settings file
    tls: tuple[Path, Path] | None = None  # certificate and key
    storage_paths: tuple[Path, ...] = ()  # folders of our own outside the state directory
    program_paths: tuple[Path, ...] = ()  # where the program's files are
    max_memory: int | None = 256 * MIB
    drain_timeout: float = 30.0

    @property
    def stop_timeout(self) -> int:
        """Seconds until the manager may kill a daemon that was asked to stop."""
        return math.ceil(self.drain_timeout) + STOP_RESERVE


# Filters of system calls: a user's own manager can apply them too.
_SYSTEM_CALLS = """\
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources"""

# Accounts, capabilities and mounts: only the system's manager may hand these out.
_SANDBOX = """\
DynamicUser=yes
StateDirectory=filepipe
StateDirectoryMode=0700
RuntimeDirectory=filepipe
AmbientCapabilities=
CapabilityBoundingSet=
DevicePolicy=closed
KeyringMode=private
PrivateDevices=yes
PrivateIPC=yes
PrivateMounts=yes
PrivateTmp=yes
PrivateUsers=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome={protect_home}
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes"""

_HEADER = """\
# Written by `filepipe service install`; your own changes belong into a drop-in
# (`systemctl edit filepipe`), where the next install leaves them alone.
[Unit]
Description=filepipe, bytes from one curl to another
Wants=network-online.target
After=network-online.target"""

_LIFE = """\
Restart=on-failure
RestartSec=1
# A wrong setting stays wrong.
RestartPreventExitStatus=2
WatchdogSec=30
KillMode=mixed"""

_LIMITS = """\
LimitNOFILE=65536
# A core dump would hold what passes through.
LimitCORE=0
TasksMax=512
UMask=0077"""

_SOCKET = """\
# Optional: systemd listens and hands the socket to filepipe.service, so that no connection is
# refused while the daemon restarts, and a port below 1024 needs no privilege.
[Unit]
Description=filepipe, its listening socket

[Socket]
ListenStream=3000
# The name is the protocol that the socket speaks.
FileDescriptorName=auto
Backlog=512

[Install]
WantedBy=sockets.target
"""


def systemd_unit(installation: Installation) -> str:
    """Render the unit for the system's manager, with every sandbox that systemd offers."""
    storage, command = installation.storage_paths, [*installation.program, "serve"]
    before = [
        f"ExecStartPre=+/usr/bin/install -d -m 0700 -o {ACCOUNT} -- {_argument(str(path))}"
        for path in storage
    ]
    for name, path in _private_files(installation):
        # The dynamic account cannot read a private file; the manager can, and passes on a copy.
        before.append(f"LoadCredential={name}:{_line(_absolute(path))}")
        if name != SECRETS_NAME:
            command += [f"--{name}", f"{_CREDENTIALS}/{name}"]
    program = [path for path in installation.program_paths if _hidden(path)]
    homes = [*program, *filter(_hidden, storage)]
    sandbox = _SANDBOX.format(protect_home="tmpfs" if homes else "yes").splitlines()
    # What a tmpfs covers must be bound into it; what is only read-only can be opened up. The dash
    # is for ExecStartPre=, which runs before the folder is there.
    names = ["BindPaths" if _hidden(path) else "ReadWritePaths" for path in storage]
    sandbox += [f"{name}={_word(f'-{path}')}" for name, path in zip(names, storage, strict=True)]
    sandbox += [f"BindReadOnlyPaths={_path(path)}" for path in program]
    return _unit(installation, [*before, _exec_start(command)], sandbox, "multi-user.target")


def systemd_user_unit(installation: Installation) -> str:
    """Render the unit for a user's own manager, without what only the system's can apply."""
    command = _with_config(installation)
    return _unit(installation, [_exec_start(command)], [], "default.target")


def systemd_socket() -> str:
    """Render the socket unit that goes with either."""
    return _SOCKET


def launchd_plist(
    installation: Installation, *, system: bool = True, log: Path = LAUNCHD_LOG
) -> bytes:
    """Render the property list of a daemon of the system, or else of an agent of one user.

    A storage on an external volume is waited for by a shell that then becomes the daemon.
    `KeepAlive`'s `PathState` would not do: it is one more reason to run, not a condition.
    """
    content: dict[str, object] = {
        "Label": LAUNCHD_LABEL,
        "ProgramArguments": _after_volumes(_with_config(installation), installation.storage_paths),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 5,
        "ExitTimeOut": installation.stop_timeout,
        "ProcessType": "Background",
        "Umask": 0o077,
        "SoftResourceLimits": {"NumberOfFiles": 65536, "Core": 0},
        "HardResourceLimits": {"NumberOfFiles": 65536, "Core": 0},
        "StandardOutPath": str(log),
        "StandardErrorPath": str(log),
    }
    if system:
        content["UserName"] = LAUNCHD_ACCOUNT
        content["EnvironmentVariables"] = {"STATE_DIRECTORY": str(LAUNCHD_STATE)}
    return plistlib.dumps(content, sort_keys=False)


def _after_volumes(command: Sequence[str], storage_paths: Iterable[Path]) -> list[str]:
    volumes = sorted({volume for path in storage_paths if (volume := _volume(path))})
    if not volumes:
        return list(command)
    waits = "".join(f"until [ -d {shlex.quote(volume)} ]; do sleep 5; done; " for volume in volumes)
    return ["/bin/sh", "-c", f"{waits}exec {shlex.join(command)}"]


def _volume(path: Path) -> str | None:
    # macOS makes the folder of an external disk when it mounts it, and removes it afterwards.
    parts = PurePosixPath(path).parts
    return "/".join(["", *parts[1:3]]) if parts[:2] == ("/", "Volumes") and parts[2:] else None


def _private_files(installation: Installation) -> Iterable[tuple[str, Path]]:
    if installation.config is not None:
        yield "config", installation.config
    if installation.secrets is not None:
        yield SECRETS_NAME, installation.secrets  # the daemon looks for it beside its settings
    if installation.tls is not None:
        yield from zip(("tls-cert", "tls-key"), installation.tls, strict=True)


def _with_config(installation: Installation) -> list[str]:
    config = installation.config
    return [*installation.program, "serve", *(["--config", str(config)] if config else [])]


def _unit(
    installation: Installation, start: Sequence[str], sandbox: Sequence[str], wanted_by: str
) -> str:
    mounts = " ".join(map(_path, installation.storage_paths))
    limit = installation.max_memory
    blocks = [
        [_HEADER, *([f"RequiresMountsFor={mounts}"] if mounts else [])],
        ["[Service]", "Type=notify", *start, _LIFE, f"TimeoutStopSec={installation.stop_timeout}"],
        # Twice the ledger, and room for the interpreter and the buffers of connections.
        [_LIMITS, *([f"MemoryMax={2 * math.ceil(limit / MIB) + 1024}M"] if limit else [])],
        [*sandbox, _SYSTEM_CALLS],
        ["[Install]", f"WantedBy={wanted_by}"],
    ]
    return "\n\n".join(map("\n".join, blocks)) + "\n"


def _hidden(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in HIDDEN)


def _exec_start(command: Sequence[str]) -> str:
    program, *arguments = command
    if set(program) & set("\\\"'"):
        raise ConfigError(
            f"systemd runs no program whose path has quotes or backslashes: {program}"
        )
    # In the program itself systemd looks for no variables.
    return " ".join([f"ExecStart={_path(Path(program))}", *map(_argument, arguments)])


def _argument(text: str) -> str:
    # A dollar would name a variable, and that is meant in one place only.
    return _word(text if text.startswith(_CREDENTIALS) else text.replace("$", "$$"))


def _path(path: Path) -> str:
    return _word(_absolute(path))


def _word(text: str) -> str:
    """Write one word of several, quoted if it must be, as systemd.syntax(7) reads it."""
    text = _line(text)
    return text if _PLAIN.fullmatch(text) else '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _line(text: str) -> str:
    """Write what systemd reads up to the end of the line, quotes and all."""
    if not text.isprintable() or text.endswith((" ", "\\")):
        raise ConfigError(f"{text!r} has characters that a unit file cannot hold.")
    return text.replace("%", "%%")


def _absolute(path: Path) -> str:
    if not path.is_absolute():
        raise ConfigError(f"A service needs absolute paths, and {str(path)!r} is not.")
    return str(path)
