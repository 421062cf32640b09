"""Taking over the sockets of a service manager, in a process of its own as it would be."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Protocol

import pytest

from filepipe.activation import inherited_sockets
from filepipe.errors import ConfigError

# Plays the manager's last step: puts the descriptors where they belong and names this process.
CHILD = """
import json, os, sys
passed, first = [int(number) for number in sys.argv[1].split(",")], 3
saved = [os.dup(number) for number in passed]
for place, number in enumerate(saved, first):
    os.dup2(number, place)
os.environ["LISTEN_PID"] = str(os.getpid() + int(sys.argv[2]))
from filepipe.activation import inherited_sockets
from filepipe.errors import ConfigError
try:
    taken = inherited_sockets()
except ConfigError as error:
    print(json.dumps(str(error)))
else:
    print(json.dumps({
        name: [[s.getsockname()[1], s.fileno(), s.get_inheritable(), s.getblocking()] for s in own]
        for name, own in taken.items()
    }))
    assert inherited_sockets() == {}, "taken twice"
    assert not [name for name in os.environ if name.startswith("LISTEN_")]
"""


class HasFileno(Protocol):
    """Whatever has a descriptor."""

    def fileno(self) -> int:
        """The descriptor."""


def take(numbers: Sequence[int], other_pid: int = 0, **variables: str) -> object:
    """What a child with these descriptors says that it took."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, ",".join(map(str, numbers)), str(other_pid)],
        env={**os.environ, "LISTEN_FDS": str(len(numbers)), **variables},
        pass_fds=numbers,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == b""
    return json.loads(done.stdout)


def listening() -> socket.socket:
    """A socket as systemd would have opened it."""
    return socket.create_server(("127.0.0.1", 0))


def test_sockets_are_grouped_by_name() -> None:
    """Two sockets may share a protocol; they arrive non-blocking and stay in this process."""
    with listening() as a, listening() as b, listening() as c:
        taken = take([s.fileno() for s in (a, b, c)], LISTEN_FDNAMES="auto:file-pipe:auto")
        ports = [s.getsockname()[1] for s in (a, b, c)]
    assert taken == {
        "auto": [[ports[0], 3, False, False], [ports[2], 5, False, False]],
        "file-pipe": [[ports[1], 4, False, False]],
    }


def test_without_names_they_are_unknown() -> None:
    """No LISTEN_FDNAMES is allowed, as in systemd."""
    with listening() as sock:
        assert list(take([sock.fileno()])) == ["unknown"]  # type: ignore[call-overload]


def test_sockets_for_another_process_are_left_alone() -> None:
    """LISTEN_PID names somebody else: a parent of ours was meant."""
    with listening() as sock:
        assert take([sock.fileno()], other_pid=1) == {}


@pytest.mark.parametrize("kind", ["file", "datagram", "connected"])
def test_what_does_not_listen_is_refused(kind: str) -> None:
    """A descriptor that nobody could connect to is one clear sentence, with its name."""
    with (
        listening() as server,
        tempfile.TemporaryFile() as file,
        socket.create_connection(server.getsockname()) as connected,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram,
    ):
        odd: dict[str, HasFileno] = {"file": file, "datagram": datagram, "connected": connected}
        said = take([server.fileno(), odd[kind].fileno()], LISTEN_FDNAMES="auto:odd")
    assert str(said).startswith("Inherited descriptor 4 (odd) is no ")
    assert str(said).endswith(".")


@pytest.mark.parametrize("count", ["one", "-1", "1.5", "9" * 5000, "²"])
def test_a_count_that_is_none(count: str) -> None:
    """A wrong LISTEN_FDS stops the start with one sentence."""
    with pytest.raises(ConfigError, match="is not a number of descriptors"):
        inherited_sockets({"LISTEN_FDS": count, "LISTEN_PID": str(os.getpid())})


def test_names_that_do_not_match_the_count() -> None:
    """A name must belong to each descriptor, or no one knows which speaks what."""
    with pytest.raises(ConfigError, match="2 names for 1 descriptors"):
        inherited_sockets(
            {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "a:b", "LISTEN_PID": str(os.getpid())}
        )


def test_nothing_inherited() -> None:
    """Started by hand, there is nothing to take."""
    assert inherited_sockets({}) == {}


def test_systemd_itself_hands_over() -> None:
    """The same by systemd's own tool, which listens, waits for a connection and executes us."""
    tool = shutil.which("systemd-socket-activate")
    if tool is None:
        pytest.skip("systemd-socket-activate is not installed")
    with listening() as probe:
        port = probe.getsockname()[1]
    program = (
        "from filepipe.activation import inherited_sockets as take;"
        "[(name, [sock])] = take().items();"
        "sock.setblocking(True); peer = sock.accept()[0];"
        "peer.sendall(name.encode()); peer.close(); sock.close()"
    )
    process = subprocess.Popen(
        [tool, "-l", f"127.0.0.1:{port}", "--fdname=file-pipe", sys.executable, "-c", program],
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stderr is not None
        process.stderr.readline()  # "Listening on …"
        with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
            assert sock.recv(100) == b"file-pipe"
        assert process.wait(30) == 0, process.stderr.read()
