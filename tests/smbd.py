"""Debian's Samba as an ordinary process on a loopback port: what a share is in these tests.

`Smbd(folder)` starts one whose state, log and share are all below `folder`; `environment` and
`location` say how it is reached. It can be killed, stopped for a while and started again.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

PASSWORD = "correct horse battery"
SHARE = "shelf"

_SETTINGS = """
[global]
    workgroup = TEST
    server role = standalone server
    server min protocol = SMB3
    disable netbios = yes
    smb ports = {port}
    interfaces = 127.0.0.1/8
    bind interfaces only = yes
    map to guest = never
    guest account = {user}
    passdb backend = tdbsam:{folder}/state/passdb.tdb
    private dir = {folder}/state
    lock directory = {folder}/state
    state directory = {folder}/state
    cache directory = {folder}/state
    pid directory = {folder}/state
    ncalrpc dir = {folder}/state/ncalrpc
    load printers = no
    printing = bsd
    printcap name = /dev/null
    disable spoolss = yes
{more}
[{share}]
    path = {path}
    read only = no
{more_of_share}
"""


def program() -> str | None:
    """The path of smbd, None where there is none."""
    return shutil.which("smbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def need() -> None:
    """Skip where there is no Samba."""
    if program() is None:
        pytest.skip("this machine has no smbd (Debian: apt-get install samba)")


class Smbd:
    """One server; `share` is the folder that it shows. Its port stays the same over restarts."""

    def __init__(
        self, folder: Path, *, share: Path | None = None, more: str = "", more_of_share: str = ""
    ) -> None:
        self.folder = folder
        self.share = share or folder / "share"
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None
        for path in (self.share, folder / "state"):
            path.mkdir(parents=True, exist_ok=True)
        self._settings = folder / "smb.conf"
        self._settings.write_text(
            _SETTINGS.format(
                port=self.port, folder=folder, user=self.user, share=SHARE, path=self.share,
                more=more, more_of_share=more_of_share,
            )
        )  # fmt: skip
        self._add_user()
        self.start()

    def _add_user(self) -> None:
        pdbedit = shutil.which("pdbedit")
        assert pdbedit, "smbd without pdbedit"
        subprocess.run(
            [pdbedit, "-s", str(self._settings), "-t", "-a", "-u", self.user],
            input=f"{PASSWORD}\n{PASSWORD}\n".encode(), capture_output=True, check=True, timeout=30,
        )  # fmt: skip

    def environment(self, path: str = "", port: int | None = None) -> dict[str, str]:
        """What a daemon has to know; `port` is that of a proxy."""
        return {
            "STORAGE_BACKEND": "smb",
            "SMB_HOST": "127.0.0.1",
            "SMB_PORT": str(port or self.port),
            "SMB_SHARE": SHARE,
            "SMB_PATH": path,
            "SMB_USER": self.user,
            "SMB_PASS": PASSWORD,
        }

    def location(
        self, path: str = "", *, port: int | None = None, security: str = "encrypted", **other: str
    ) -> str:
        """What the shelf is opened with."""
        options = {"user": self.user, "password": PASSWORD, "security": security, **other}
        return f"127.0.0.1:{port or self.port}/{SHARE}/{quote(path)}?{urlencode(options)}"

    def start(self) -> None:
        """Start it, and wait until it can be reached."""
        smbd = program()
        assert smbd
        command = [smbd, "-F", "--no-process-group", "--debug-stdout", "-s", str(self._settings)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            except OSError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.02)
            else:
                return
        raise AssertionError((self.folder / "log").read_text())

    def signal(self, number: int) -> None:
        """Send a signal to it and to everything that it has started."""
        assert self.process
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """End it at once, with all connections."""
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait(10)
            self.process = None


def _free_port() -> int:
    """One that the system does not give to others of itself: below those it picks."""
    for port in range(20000 + os.getpid() % 10000, 32000):
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
