"""What the settings limit, and what becomes of uploads when the daemon goes down."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.conftest import Daemon, eventually, read_until
from tests.scenarios.mount import fresh
from tests.scenarios.tus.wire import ENVIRONMENT, LISTENERS, Upload, Wire, metadata

SETTINGS = (
    "--idle-timeout", "0.3", "--max-uploads", "3", "--max-disk", "4M", "--max-body-size", "1000",
    "--upload-names", "overwrite", "--public-url", "https://files.example/pipe/",
)  # fmt: skip


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One with low limits for all of these tests."""
    folder = tmp_path_factory.mktemp("limits")
    daemon = Daemon([*LISTENERS, *SETTINGS], folder, env=ENVIRONMENT)
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture
def small(daemon: Daemon) -> Iterator[Wire]:
    """tus there."""
    wire = Wire(daemon)
    yield wire
    for upload in wire.made:
        upload.delete()


def begin(wire: Wire, length: int, **headers: str) -> Upload:
    """A new upload; its URL is one outside, of which we know the path."""
    upload = wire.create(length, **headers)
    base, _, identifier = upload.path.rpartition("/")
    assert base == "https://files.example/pipe/files"
    upload.path = f"/files/{identifier}"
    return upload


def test_a_silent_sender_is_ended(small: Wire) -> None:
    """With a status after which clients try again; what he sent stays."""
    upload = begin(small, 10)
    with upload.begin_patch(0, 10) as sock:
        sock.sendall(b"123")
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 503")
    assert upload.offset() == 3
    assert upload.patch(b"4567890", 3).done(204).offset == 10


def test_a_body_has_a_limit(small: Wire) -> None:
    """Of its own: an upload may be larger."""
    upload = begin(small, 1500)
    upload.patch(bytes(1001), 0).refused(413, "too_large")
    assert upload.patch(bytes(1000), 0).done(204).offset == 1000
    assert upload.patch(bytes(500), 1000).done(204).offset == 1500


def test_room_has_a_limit(small: Wire) -> None:
    """An upload that cannot fit is not begun; one that has gone has given its room back."""
    for _ in range(3):
        small.post(Upload_Length=str(5 * 1024 * 1024)).refused(507, "over_budget")
        begin(small, 3 * 1024 * 1024).delete().done(204)


def test_open_uploads_have_a_limit(small: Wire) -> None:
    """Not so those that are complete."""
    uploads = [begin(small, 1) for _ in range(3)]
    small.post(Upload_Length="1").refused(507, "over_budget")
    uploads[0].patch(b"x", 0).done(204)
    begin(small, 1)


def test_a_name_may_be_taken_over(small: Wire) -> None:
    """Where the settings say so, as for uploads in parts."""
    name = fresh("name")
    for body in (b"one", b"two"):
        begin(small, 3, **metadata(filename=name)).patch(body, 0).done(204)
    assert (small.root / name).read_bytes() == b"two"


@pytest.mark.parametrize("patience", ["0.3", "20"])
def test_who_is_sending_when_the_daemon_stops(
    tmp_path_factory: pytest.TempPathFactory, patience: str
) -> None:
    """May finish, or is told to try again; nothing that came is lost."""
    folder = tmp_path_factory.mktemp("stopped")
    arguments = [*LISTENERS, "--drain-timeout", patience]
    wire = Wire(Daemon(arguments, folder, env=ENVIRONMENT))
    try:
        upload = wire.create(10)
        with upload.begin_patch(0, 10) as sock:
            sock.sendall(b"12345")
            eventually(lambda: wire.daemon.state()["bytes_in"] == 5)
            wire.daemon.process.send_signal(signal.SIGTERM)
            if patience == "20":
                eventually(lambda: any(line["event"] == "draining" for line in wire.daemon.log()))
                sock.sendall(b"67890")
            answer = read_until(sock, b"\r\n\r\n")
        assert answer.split()[1] == (b"204" if patience == "20" else b"503")
        assert wire.daemon.process.wait(20) == 0
        wire.daemon.assert_clean_log()
        wire.daemon.log_path.unlink()
        wire.daemon = Daemon(arguments, folder, env=ENVIRONMENT)
        assert upload.offset() == (10 if patience == "20" else 5)
    finally:
        wire.daemon.kill()
