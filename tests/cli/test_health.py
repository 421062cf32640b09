"""`filepipe health`, asked of real little servers."""

from __future__ import annotations

import http.server
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from filepipe.cli.main import main
from filepipe.config import describe

Run = Callable[..., tuple[object, str, str]]


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers to /health as its server says."""

    def do_GET(self) -> None:
        status = self.server.status if self.path == "/health" else 404  # type: ignore[attr-defined]
        body = b'{"status":"OK"}\n'
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class UnixServer(socketserver.UnixStreamServer):
    """A server behind a path."""

    def get_request(self) -> tuple[socket.socket, Any]:
        return super().get_request()[0], ("local", 0)


@pytest.fixture
def started() -> Iterator[Callable[[socketserver.BaseServer, int], None]]:
    """Serve in the background until the test ends."""
    running: list[tuple[socketserver.BaseServer, threading.Thread]] = []

    def start_server(server: socketserver.BaseServer, status: int = 200) -> None:
        server.status = status  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        running.append((server, thread))

    yield start_server
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `health`: its exit code, stdout and stderr."""
    bare = {variable for item in describe() for variable in item.variables}
    for name in [name for name in os.environ if name in bare or name.startswith("FILEPIPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    # A proxy is for others, never for the daemon on this machine.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    def call(*arguments: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["health", *arguments])
        return caught.value.code, *capsys.readouterr()

    return call


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "", "localhost"])
def test_the_first_listener_is_asked(
    host: str, run: Run, started: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that means every interface is reached by the loopback."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    started(server)
    monkeypatch.setenv("LISTEN", f"{host}:{server.server_port}, :1")
    assert run() == (0, '{"status":"OK"}\n', "")


def test_a_unix_socket_is_asked(
    run: Run, started: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the settings name it."""
    started(UnixServer("s", Answer))
    monkeypatch.setenv("LISTEN", "unix:s=file-pipe")
    assert run()[0] == 0


def test_a_url_goes_before_the_settings(run: Run, started: Callable[..., None]) -> None:
    """For a daemon elsewhere, or one behind a descriptor."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    started(server)
    assert run("--url", f"http://127.0.0.1:{server.server_port}")[0] == 0


def test_a_daemon_that_is_not_well_is_exit_1(
    run: Run, started: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its status is told."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    started(server, 503)
    address = f"127.0.0.1:{server.server_port}"
    monkeypatch.setenv("LISTEN", address)
    expected = f"filepipe: {address} is not well: 503 Service Unavailable\n"
    assert run() == (1, "", expected)


def test_nobody_there_is_exit_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port where nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("LISTEN", f"127.0.0.1:{unused.getsockname()[1]}")
        code, _, error = run()
    assert code == 1
    assert "does not answer" in error
    assert error.count("\n") == 1


def test_an_answer_that_is_no_http_is_exit_1(run: Run, started: Callable[..., None]) -> None:
    """Something else listens there."""

    class Other(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1000)
            self.request.sendall(b"220 mail.example ESMTP\r\n")

    server = socketserver.TCPServer(("127.0.0.1", 0), Other)
    started(server)
    code, _, error = run("--url", f"http://127.0.0.1:{server.server_address[1]}")
    assert (code, "does not answer" in error) == (1, True)


@pytest.mark.parametrize(
    ("listen", "arguments", "line"),
    [
        ("fd:web", (), "listen: only the service manager knows the address, name it by --url"),
        (":1", ("--url", "x"), "url: 'x' is not a URL such as https://files.example.org"),
        (":x", (), "listen: 'x' is not a port, which is a number up to 65535 "
         "(environment variable LISTEN)"),
    ],
)  # fmt: skip
def test_where_nobody_can_be_asked_is_exit_2(
    listen: str, arguments: tuple[str, ...], line: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings, or the call, must change first."""
    monkeypatch.setenv("LISTEN", listen)
    assert run(*arguments) == (2, "", f"filepipe: {line}\n")
