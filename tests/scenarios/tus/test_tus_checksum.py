"""Bodies with a checksum: kept when they have it, and else as if they had never come."""

from __future__ import annotations

import pytest

from filepipe.protocols.tus import ALGORITHMS
from tests.conftest import read_until
from tests.scenarios.mount import fresh
from tests.scenarios.peers import body_of
from tests.scenarios.tus.wire import CHUNK, KEY, Wire, checksum, following, metadata

DATA = body_of(200_000)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_checksum_that_fits_changes_nothing(wire: Wire, algorithm: str) -> None:
    """By every algorithm that is announced."""
    upload = wire.create(len(DATA))
    first, second = DATA[:70_000], DATA[70_000:]
    said = {name.replace("-", "_"): v for name, v in checksum(algorithm, first).items()}
    assert upload.patch(first, 0, **said).done(204).offset == 70_000
    assert upload.patch(second, 70_000).done(204).offset == len(DATA)
    assert upload.get().body == DATA


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_checksum_that_does_not_fit_leaves_nothing(wire: Wire, algorithm: str) -> None:
    """The offset stays, and the right body comes to where the wrong one was."""
    upload = wire.create(len(DATA))
    upload.patch(DATA[:1000], 0).done(204)
    said = checksum(algorithm, b"something else")
    fields = {"Content-Type": CHUNK, "Upload-Offset": "1000", **said}
    wrong = bytes(len(DATA) - 1000)
    wire.ask("PATCH", upload.path, wrong, fields).refused(460, "wrong_checksum")
    assert upload.offset() == 1000
    assert upload.patch(DATA[1000:], 1000).done(204).offset == len(DATA)
    assert upload.get().body == DATA


def test_a_cut_body_with_a_checksum_leaves_nothing(wire: Wire) -> None:
    """A part of it cannot be verified."""
    upload = wire.create(len(DATA))
    said = {n.replace("-", "_"): v for n, v in checksum("sha256", DATA).items()}
    with upload.begin_patch(0, len(DATA), **said) as sock:
        sock.sendall(DATA[:150_000])
    assert upload.offset() == 0
    assert upload.patch(DATA, 0, **said).done(204).offset == len(DATA)
    assert upload.get().body == DATA


def test_nobody_reads_what_is_not_verified(wire: Wire) -> None:
    """A reader at the key gets the right bytes only."""
    key = fresh("checked")
    upload = wire.create(10, **metadata(key=key))
    upload.patch(b"01", 0).done(204)
    with following(wire.daemon.url(f"/{key}")) as reader:
        assert reader.read(2) == b"01"
        wrong = {n.replace("-", "_"): v for n, v in checksum("sha1", b"else").items()}
        upload.patch(b"abcde", 2, **wrong).refused(460, "wrong_checksum")
        right = {n.replace("-", "_"): v for n, v in checksum("sha1", b"23456").items()}
        upload.patch(b"23456", 2, **right).done(204)
        assert reader.read(5) == b"23456"
        upload.patch(b"789", 7).done(204)
        assert reader.rest() == b"789"


def test_a_creation_with_a_wrong_checksum_creates_nothing(wire: Wire) -> None:
    """Its key is free again, its bytes are gone."""
    key, names = fresh("wrong"), wire.names()
    said = {
        "Upload-Length": "5", "Content-Type": CHUNK,
        **checksum("sha256", b"else"), **metadata(key=key),
    }  # fmt: skip
    wire.ask("POST", "/files/", b"12345", said).refused(460, "wrong_checksum")
    said |= checksum("sha256", b"12345")
    assert wire.ask("POST", "/files/", b"12345", said).done(201).offset == 5
    assert len(wire.names() - names) == 1


def test_a_checksum_is_refused_before_the_body(wire: Wire) -> None:
    """An algorithm that is not known makes the body useless."""
    upload = wire.create(5)
    with upload.begin_patch(0, 5, Expect="100-continue", Upload_Checksum="crc32c YQ==") as sock:
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert KEY not in wire.daemon.log_path.read_text()
