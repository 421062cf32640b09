"""Every kind of listener, with real clients: unix, IPv6, TLS, two at once, handed over."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import pytest

from filepipe.config import PROTOCOLS
from tests.conftest import Daemon, curl, eventually, start_curl
from tests.scenarios.peers import MIB, Upload, body_of, put, sha, stored

BODY = body_of(3 * MIB)

Start = Callable[..., Daemon]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file to upload."""
    path = tmp_path / "body"
    path.write_bytes(BODY)
    return path


def test_a_unix_socket(start: Start, tmp_path: Path, source: Path) -> None:
    """A path in the file system serves as well as a port, and goes with the daemon."""
    path = tmp_path / "filepipe.sock"
    daemon = start("--listen", f"unix:{path}")
    assert daemon.addresses == [f"unix:{path}"]
    through = ("--unix-socket", str(path))
    reader = start_curl(*through, "http://localhost/k")
    written = curl(*through, "--upload-file", str(source), "http://localhost/k")
    assert written.stdout == b"http://localhost/k\n"
    got, _ = reader.communicate(timeout=30)
    assert sha(got) == sha(BODY)
    state = json.loads(curl(*through, "http://localhost/state").stdout)
    assert [key["key"] for key in state["keys"]] == ["k"]  # this is a caller on this machine
    assert daemon.stop() == 0
    assert not path.exists()
    daemon.assert_clean_log()


def test_a_unix_socket_in_use(start: Start, tmp_path: Path) -> None:
    """The socket of a daemon that lives is not taken away from it."""
    path = tmp_path / "filepipe.sock"
    start("--listen", f"unix:{path}")
    done = serve("--data-dir", str(tmp_path / "other"), "--listen", f"unix:{path}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "somebody listens on" in done.stderr
    assert b"OK" in curl("--unix-socket", str(path), "http://localhost/health").stdout


def test_ipv6(start: Start) -> None:
    """An address in brackets."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError as error:
            pytest.skip(f"no IPv6 here: {error.strerror}")
    daemon = start("--listen", "[::1]:0")
    assert daemon.addresses[0].startswith("[::1]:")
    status, text = put(daemon, "/k", BODY)
    assert (status, text) == (200, daemon.url("/k") + "\n")
    assert sha(curl(daemon.url("/k")).stdout) == sha(BODY)
    daemon.assert_clean_log()


def test_all_addresses(start: Start) -> None:
    """A port alone means every address of the machine, of both families where there are two."""
    daemon = start("--listen", ":0", "--listen", "127.0.0.1:0")
    for address in daemon.addresses:
        here = address.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")
        assert b"OK" in curl(f"http://{here}/health").stdout
    opened = [line["open_to"] for line in daemon.log() if line["event"] == "listening"]
    assert set(opened) == {"everybody who can reach this address", "this machine"}


PLACES = {"key": "/k", "channel": "/channels/a/b"}


@pytest.mark.parametrize(
    "flags", [(), ("--allow-delete", "--dashboard=keys")], ids=["less", "more"]
)
def test_the_log_says_what_is_open(start: Start, flags: tuple[str, ...]) -> None:
    """Where DELETE is said to be open it is taken, and nowhere else; names are told as is said."""
    daemon = start(
        *chain.from_iterable(("-l", f"127.0.0.1:0={name}") for name in PROTOCOLS), *flags
    )
    lines = {line["protocol"]: line for line in daemon.log() if line["event"] == "listening"}
    assert set(lines) == set(PROTOCOLS)

    def ask(protocol: str, *arguments: str) -> bytes:
        *options, path = arguments
        return curl(*options, f"http://{lines[protocol]['address']}{path}").stdout

    for protocol, line in lines.items():
        assert line["reading"] == line["writing"]
        for what, path in PLACES.items():
            if what in line["writing"]:
                status = ask(protocol, "-XDELETE", "-o/dev/null", "-w%{http_code}", path)
                assert (protocol, what in line["deleting"]) == (protocol, status == b"404")
    put(daemon, "/secret", b"hello")
    told = b"secret" in ask("piping", "-HVia: 1.1 proxy", "/state")
    assert (lines["piping"]["listing"] == "everybody") == told == bool(flags)
    assert (ask("auto", "-HVia: 1.1 proxy", "/channels/namespaces") == b"[]") == told
    assert (b"[]" in ask("beam", "-HVia: 1.1 proxy", "/")) == told
    assert ask("httpipe", "-HVia: 1.1 proxy", "/channels/namespaces") == b"[]"
    assert lines["httpipe"]["listing"] == "everybody"


def test_two_listeners_share_the_keys(start: Start) -> None:
    """What one protocol writes another one reads, live."""
    daemon = start("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0=file-pipe")
    with Upload(daemon, "/k", len(BODY), listener=1) as upload:
        upload.send(BODY[:MIB])
        eventually(lambda: stored(daemon, "k") == MIB)
        reader = start_curl(daemon.url("/k"))
        refused = put(daemon, "/k", b"other")
        assert refused == (409, "key already exists\n")
        assert upload.finish(BODY[MIB:]).startswith(b"HTTP/1.1 200 ")
        got, _ = reader.communicate(timeout=30)
        assert sha(got) == sha(BODY)
    assert sha(curl(daemon.url("/k", listener=1)).stdout) == sha(BODY)
    daemon.assert_clean_log()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", str(key), "-out", str(cert), "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def test_tls(start: Start, certificate: tuple[Path, Path], source: Path) -> None:
    """curl that checks the certificate uploads and reads; without TLS nothing is answered."""
    cert, key = certificate
    daemon = start(
        "--listen", "127.0.0.1:0", "--listen", "https://127.0.0.1:0",
        "--tls-cert", str(cert), "--tls-key", str(key),
    )  # fmt: skip
    port = daemon.addresses[1].rpartition(":")[2]
    url = f"https://localhost:{port}/k"
    trust = ("--cacert", str(cert), "--resolve", f"localhost:{port}:127.0.0.1")
    reader = start_curl(*trust, url)
    eventually(lambda: daemon.state()["waiting_readers"] == 1)
    assert curl(*trust, "--upload-file", str(source), url).stdout == f"{url}\n".encode()
    got, _ = reader.communicate(timeout=30)
    assert sha(got) == sha(BODY)
    assert sha(curl(daemon.url("/k")).stdout) == sha(BODY)
    assert curl(f"http://127.0.0.1:{port}/k").returncode != 0
    assert curl("--http2", *trust, "--write-out", "%{http_version}", url).stdout[-3:] == b"1.1"
    daemon.assert_clean_log()


def test_a_broken_upload_over_tls(start: Start, certificate: tuple[Path, Path]) -> None:
    """Under TLS, too, a reader of what broke is cut, with and without framing of its own."""
    cert, key = certificate
    daemon = start(
        "--listen", "127.0.0.1:0", "--listen", "https://127.0.0.1:0",
        "--tls-cert", str(cert), "--tls-key", str(key),
    )  # fmt: skip
    url = f"https://{daemon.addresses[1]}/k"
    with Upload(daemon, "/k") as upload:
        upload.send(BODY[:MIB])
        curls = [start_curl("--insecure", *version, "--output", "/dev/null", url)
                 for version in ((), ("--http1.0",))]  # fmt: skip
        eventually(lambda: daemon.state()["keys"][0]["readers"] == 2)
        upload.reset()
        for reader in curls:
            reader.communicate(timeout=30)
            assert reader.returncode in (18, 56)
    daemon.assert_clean_log()


# Plays the manager's last step: puts the sockets where they belong and names this process.
HAND_OVER = """
import os, sys
count = int(sys.argv[1])
saved = [os.dup(int(number)) for number in sys.argv[2:2 + count]]
for place, number in enumerate(saved, 3):
    os.dup2(number, place)
    os.set_inheritable(place, True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(count)
os.execvp(sys.argv[2 + count], sys.argv[2 + count:])
"""


@pytest.fixture
def handed_over() -> Iterator[list[socket.socket]]:
    """Two listening sockets that a service manager would hold."""
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    yield socks
    for sock in socks:
        sock.close()


def hand_over(socks: list[socket.socket]) -> dict[str, object]:
    """What starts a daemon that gets these sockets."""
    numbers = [str(sock.fileno()) for sock in socks]
    return {
        "prefix": [sys.executable, "-c", HAND_OVER, str(len(socks)), *numbers],
        "pass_fds": [sock.fileno() for sock in socks],
    }


def test_sockets_of_the_service_manager(start: Start, handed_over: list[socket.socket]) -> None:
    """A socket's name is its protocol; nobody is refused while the daemon is started again."""
    names = {"LISTEN_FDNAMES": "file-pipe:auto"}
    urls = [f"http://127.0.0.1:{sock.getsockname()[1]}/k" for sock in handed_over]
    daemon = start("--listen", "fd:auto", "--listen", "fd:file-pipe=file-pipe",
                   env=names, **hand_over(handed_over))  # fmt: skip
    protocols = {line["address"]: line["protocol"] for line in daemon.log()
                 if line["event"] == "listening"}  # fmt: skip
    assert protocols == {
        url[7:-2]: name for url, name in zip(urls, ("file-pipe", "auto"), strict=True)
    }
    assert put(daemon, "/k", b"hello")[0] == 200
    assert curl(urls[0]).stdout == curl(urls[1]).stdout == b"hello"
    assert daemon.stop() == 0
    waiting = start_curl(urls[1])  # the manager still holds the socket
    again = start("--listen", "fd:auto", "--listen", "fd:file-pipe=file-pipe",
                  env=names, **hand_over(handed_over))  # fmt: skip
    eventually(lambda: again.state()["waiting_readers"] == 1)
    assert put(again, "/k", b"once more")[0] == 200
    assert waiting.communicate(timeout=30)[0] == b"once more"


def test_sockets_that_no_setting_names(
    start: Start, handed_over: list[socket.socket], tmp_path: Path
) -> None:
    """Without --listen the sockets that were handed over are all there is."""
    command = [*hand_over(handed_over[:1])["prefix"], sys.executable, "-m", "filepipe", "serve",
               "--data-dir", str(tmp_path / "data"), "--log-format", "json"]  # fmt: skip
    log = (tmp_path / "log").open("w+")
    with log, subprocess.Popen(
        command, env={"LISTEN_FDNAMES": "file-pipe", "PATH": "/usr/bin:/bin"}, cwd=tmp_path,
        pass_fds=[handed_over[0].fileno()], stderr=log,
    ) as process:  # fmt: skip
        try:
            answer = curl(f"http://127.0.0.1:{handed_over[0].getsockname()[1]}/")
            assert b"missing key in path" in answer.stdout
        finally:
            process.terminate()
        assert process.wait(30) == 0
        log.seek(0)
        lines = [json.loads(line) for line in log]
    listening = [line for line in lines if line["event"] == "listening"]
    assert [line["protocol"] for line in listening] == ["file-pipe"]


def serve(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A daemon that cannot start, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "filepipe", "serve", *arguments],
        capture_output=True, text=True, timeout=30, check=False, cwd=cwd,
    )  # fmt: skip
