"""The unit's ExecStart, run in an imitation of its sandbox: what systemd would do, without systemd.

The imitation has the account without a name, no capabilities, no new privileges, and a file system
on which nothing but the state directory can be written; a program in somebody's home is shown as
`service install` has it shown. It has no filter of system calls.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

import pytest

from filepipe.cli.service import program_paths

UNIT = Path(__file__).parents[2] / "deploy/filepipe.service"
ACCOUNT = "65532"
PROGRAM = Path(sys.executable).with_name("filepipe")

# Devices, /proc and /sys are the kernel's own matter.
READ_ONLY = """\
mount --bind "$state" "$state"
cut -d' ' -f5 /proc/self/mountinfo | while read -r point; do
  point=$(printf '%b' "$point")
  case $point in
    "$state" | /proc | /proc/* | /sys | /sys/* | /dev | /dev/*) ;;
    *) mount -o remount,bind,ro "$point" ;;
  esac
done
cd /
exec "$@"
"""


def show_program(scratch: Path) -> Iterator[str]:
    """What `ProtectHome=tmpfs` and `BindReadOnlyPaths=` do, for folders closed to others."""
    closed = {
        path: next(filter(is_closed, reversed(path.parents)), None) for path in program_paths()
    }
    aside = {path: scratch / str(n) for n, path in enumerate(closed) if closed[path] is not None}
    for path, place in aside.items():
        yield f"mkdir {place}; mount --rbind {quote(str(path))} {place}"
    for folder in {str(closed[path]) for path in aside}:
        yield f"mount -t tmpfs -o mode=755 tmpfs {quote(folder)}"
    for path, place in aside.items():
        yield f"mkdir -p {quote(str(path))}; mount --rbind {place} {quote(str(path))}"


def is_closed(folder: Path) -> bool:
    """Whether other accounts may not pass through."""
    return not folder.stat().st_mode & stat.S_IXOTH


def reason_to_skip() -> str | None:
    """Why the sandbox cannot be imitated here, if so."""
    if os.geteuid() != 0:
        return "only root can make the mounts of the sandbox"
    for tool in ("unshare", "setpriv", "mount", "curl"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        return "this system lets root make no mount namespace"
    return None


def as_nobody() -> list[str]:
    """The account of the service, and nothing that would let it become another."""
    return [
        *("setpriv", "--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"),
        *("--no-new-privs", "--bounding-set", "-all", "--inh-caps", "-all", "--"),
    ]


def sandboxed(state: Path, *command: str) -> list[str]:
    """The command in the sandbox; each step becomes the next, so the process stays one."""
    steps = ["set -e", "mount --make-rprivate /", *show_program(state.parent)]
    script = "\n".join([*steps, f"state={quote(str(state))}", READ_ONLY])
    return ["unshare", "--mount", "sh", "-c", script, "sh", *as_nobody(), *command]


@pytest.fixture(scope="module", autouse=True)
def _can_be_imitated() -> None:
    if reason := reason_to_skip():
        pytest.skip(reason)


@pytest.fixture
def state() -> Iterator[Path]:
    """The state directory: pytest's own folders are closed to other accounts."""
    folder = Path(tempfile.mkdtemp(prefix="filepipe-", dir="/tmp"))
    folder.chmod(0o755)
    state = folder / "state"
    state.mkdir(0o700)
    os.chown(state, int(ACCOUNT), int(ACCOUNT))
    yield state
    shutil.rmtree(folder)


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    """What the service manager listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0filepipe-sandbox-{os.getpid()}")
        sock.settimeout(30)
        yield sock


def heard(manager: socket.socket, word: str) -> str:
    """The next message that says `word`; others before it are passed over."""
    while True:
        message = manager.recv(4096).decode()
        if word in message.splitlines():
            return message


def exec_start() -> list[str]:
    """The command of the unit, with the program of this environment."""
    (line,) = re.findall(r"(?m)^ExecStart=(.*)$", UNIT.read_text())
    program, *arguments = line.split()
    assert program == "/usr/local/bin/filepipe"
    return [str(PROGRAM), *arguments]


def environment(manager: socket.socket, state: Path) -> dict[str, str]:
    """What systemd sets for the unit, and a path; nothing of ours."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "NOTIFY_SOCKET": "@" + manager.getsockname()[1:].decode(),
        "WATCHDOG_USEC": "1000000",
        "STATE_DIRECTORY": str(state),
    }


@contextmanager
def daemon(manager: socket.socket, state: Path, *flags: str) -> Iterator[subprocess.Popen[bytes]]:
    """The unit's daemon; it is killed if the test has not ended it."""
    process = subprocess.Popen(
        sandboxed(state, *exec_start(), *flags),
        env=environment(manager, state),
        umask=0o077,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def curl(*arguments: str) -> bytes:
    """What curl got, or its own complaint."""
    return subprocess.run(
        ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "30", *arguments],
        check=True,
        capture_output=True,
    ).stdout


@pytest.mark.parametrize("outside", ["/var/tmp", "/run", "/etc", PROGRAM.parent])
def test_the_imitation_holds(state: Path, outside: Path | str) -> None:
    """In it the state directory can be written, and nothing else can, also for lack of a file."""
    done = subprocess.run(
        sandboxed(state, "sh", "-c", f"touch {state}/inside && touch {outside}/outside"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (state / "inside").stat().st_uid == int(ACCOUNT)
    assert done.returncode != 0
    assert "Read-only file system" in done.stderr or "Permission denied" in done.stderr


def test_the_program_is_shown(state: Path) -> None:
    """The Python in the sandbox is the one outside, with its own library, not one like it."""
    script = "import os, sys; print(sys.base_prefix, os.__file__, os.geteuid())"
    done = subprocess.run(
        sandboxed(state, sys.executable, "-c", script), capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [sys.base_prefix, os.__file__, ACCOUNT]


def test_ready_transfer_drain_exit(state: Path, manager: socket.socket, tmp_path: Path) -> None:
    """READY comes, bytes that spill go in and come out, SIGTERM is answered by STOPPING and 0."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/big"
    body = tmp_path / "body"
    body.write_bytes(os.urandom(3 << 20))
    with daemon(manager, state, "--listen", f"127.0.0.1:{port}") as process:
        assert "STATUS=" in heard(manager, "READY=1")
        assert curl("-T", str(body), url).decode().strip() == url
        assert curl(url) == body.read_bytes()
        assert [path.name for path in state.iterdir()] == ["filepipe"]
        heard(manager, "WATCHDOG=1")
        process.send_signal(signal.SIGTERM)
        heard(manager, "STOPPING=1")
        # The key was read, but may be read again until its retention ends: no reason to stay.
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=40)
    assert process.returncode == 0, output.decode()
    assert b"Traceback" not in output


def test_an_idle_daemon_stops_at_the_first_signal(state: Path, manager: socket.socket) -> None:
    """Nothing to drain: one SIGTERM, STOPPING, exit 0."""
    with daemon(manager, state, "--listen", f"127.0.0.1:{free_port()}") as process:
        heard(manager, "READY=1")
        process.send_signal(signal.SIGTERM)
        heard(manager, "STOPPING=1")
        output, _ = process.communicate(timeout=40)
    assert process.returncode == 0, output.decode()
    assert b"Traceback" not in output


def test_a_socket_of_the_manager_is_served(state: Path, manager: socket.socket) -> None:
    """Handed over as by filepipe.socket, it is served and the default port is not opened."""
    hand_over = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3);"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='auto');"
        "os.execv(sys.argv[2], sys.argv[2:])"
    )
    with socket.create_server(("127.0.0.1", 0)) as sock:
        number = sock.fileno()
        process = subprocess.Popen(
            sandboxed(state, sys.executable, "-c", hand_over, str(number), *exec_start()),
            env=environment(manager, state),
            pass_fds=[number],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        port = sock.getsockname()[1]
    with process:
        try:
            assert f":{port}" in heard(manager, "READY=1")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=30) as answer:
                assert answer.status == 200
            process.terminate()
            heard(manager, "STOPPING=1")
            output, _ = process.communicate(timeout=40)
        finally:
            process.kill()
    assert process.returncode == 0, output.decode()
