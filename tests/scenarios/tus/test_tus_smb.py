"""Uploads by tus that are kept on a share: the same, whatever is behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.between import Between
from tests.conftest import Daemon
from tests.scenarios.mount import fresh
from tests.scenarios.peers import MIB, body_of
from tests.scenarios.tus.wire import (
    ENVIRONMENT,
    LISTENERS,
    Upload,
    Wire,
    checksum,
    following,
    metadata,
)
from tests.smbd import Smbd, need

DATA = body_of(2 * MIB)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Smbd]:
    """A Samba."""
    need()
    smbd = Smbd(tmp_path_factory.mktemp("samba"))
    yield smbd
    smbd.kill()


@pytest.fixture(scope="module")
def line(server: Smbd) -> Iterator[Between]:
    """The way to it, which can be cut."""
    between = Between(server.port)
    yield between
    between.close()


@pytest.fixture(scope="module")
def share(server: Smbd, line: Between, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """tus of a daemon that keeps uploads there."""
    environment = ENVIRONMENT | server.environment("files", line.port)
    daemon = Daemon(list(LISTENERS), tmp_path_factory.mktemp("smb"), env=environment)
    yield Wire(daemon)
    daemon.kill()
    daemon.assert_clean_log()


def test_a_file_is_uploaded(share: Wire, server: Smbd) -> None:
    """In two bodies, and read at a key while it arrives."""
    name, key = fresh("smb"), fresh("smb")
    upload = share.create(len(DATA), **metadata(filename=name, key=key))
    upload.patch(DATA[:MIB], 0).done(204)
    with following(share.daemon.url(f"/{key}")) as reader:
        assert reader.read(MIB) == DATA[:MIB]
        assert upload.patch(DATA[MIB:], MIB).done(204).offset == len(DATA)
        assert reader.rest() == DATA[MIB:]
    assert (server.share / "files" / name).read_bytes() == DATA
    assert upload.get(Range="bytes=5-9").body == DATA[5:10]
    upload.delete().done(204)
    assert not (server.share / "files" / name).exists()


def test_a_wrong_checksum_leaves_nothing(share: Wire) -> None:
    """The right body comes to where the wrong one was."""
    upload = share.create(len(DATA))
    said = {n.replace("-", "_"): v for n, v in checksum("sha256", DATA).items()}
    upload.patch(bytes(len(DATA)), 0, **said).refused(460, "wrong_checksum")
    assert upload.offset() == 0
    assert upload.patch(DATA, 0, **said).done(204).offset == len(DATA)
    assert upload.get().body == DATA


def test_parts_are_joined(share: Wire) -> None:
    """Bytes go there and back."""
    parts = [share.create(MIB, Upload_Concat="partial") for _ in range(2)]
    for number, part in enumerate(parts):
        part.patch(DATA[number * MIB : (number + 1) * MIB], 0).done(204)
    reply = share.post(Upload_Concat=f"final;{parts[0].path} {parts[1].path}").done(201)
    assert Upload(share, reply.headers["Location"]).get().body == DATA


def test_a_server_that_is_away_for_a_moment(share: Wire, line: Between) -> None:
    """What was told is there; the sender hears of the rest, and goes on."""
    upload = share.create(len(DATA))
    upload.patch(DATA[:1000], 0).done(204)
    line.cut_after(MIB)
    upload.patch(DATA[1000:], 1000).refused(503, "storage_away")
    offset = upload.offset()
    assert 1000 <= offset < len(DATA)
    assert upload.patch(DATA[offset:], offset).done(204).offset == len(DATA)
    assert upload.get().body == DATA
