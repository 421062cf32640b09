"""The doorman under TLS."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Daemon, eventually, read_all
from tests.web.ways import (
    GENERAL,
    ask,
    at_rest,
    descriptors,
    get,
    put,
    read_answer,
    send_apart,
)

FULL = b"x" * 64 * 1024

Start = Callable[..., Daemon]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate that signs itself, and its key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    file = tmp_path / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", str(file), "-out", str(file) + ".cert", "-days", "1",
         "-subj", "/CN=localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    with file.open("ab") as both:
        both.write(Path(str(file) + ".cert").read_bytes())
    return file


def test_tls(start: Start, certificate: Path) -> None:
    """The same under TLS: answers, pieces, a wait, handing over, and an end."""
    both = str(certificate)
    daemon = start(
        "--listen", "127.0.0.1:0", "--listen", "https://127.0.0.1:0", "--tls-cert", both,
        "--tls-key", both, "--keepalive-timeout", "1",
    )  # fmt: skip
    context = ssl.create_default_context(cafile=both + ".cert")
    before = descriptors(daemon)

    def connect() -> ssl.SSLSocket:
        return context.wrap_socket(daemon.connect(listener=1), server_hostname="localhost")

    context.check_hostname = False
    with connect() as sock:
        send_apart(sock, put("/k", body=FULL)[:-9], put("/k", body=FULL)[-9:])
        answer = read_answer(sock)
        assert answer.by_doorman
        assert answer.body == b"https://localhost/k\n"
        sock.sendall(get("/k"))
        assert read_answer(sock).body == FULL
        sock.sendall(get("/later"))
        eventually(lambda: daemon.state()["waiting_readers"] == 1)
        sock.sendall(get("/k", *GENERAL))
        assert ask(daemon, put("/later")).status == 200
        assert read_answer(sock).body == b"hello"
        assert read_answer(sock).body == FULL
    with connect() as sock:
        sock.sendall(get("/never"))
        eventually(lambda: daemon.state()["waiting_readers"] == 1)
    eventually(lambda: at_rest(daemon, before))
    with connect() as sock:
        sock.sendall(get("/k"))
        assert read_answer(sock).by_doorman
        assert read_all(sock) == b""
    daemon.assert_clean_log()
