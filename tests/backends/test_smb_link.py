"""One connection to a share."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from filepipe_backends import smb_link, smb_transport
from filepipe_backends.smb_errors import SHARED, Lost, Refusal, Unreachable
from filepipe_backends.smb_link import Link
from filepipe_backends.smb_location import parse
from filepipe_backends.smb_share import DRAFT, FOLDER, NEW_DRAFT
from tests.between import Between
from tests.conftest import eventually
from tests.smbd import Smbd


@pytest.fixture
def name(tmp_path: Path) -> str:
    """A file of the test's own."""
    return f"{tmp_path.parent.name}-{tmp_path.name}"


@pytest.fixture
def link(samba: Smbd) -> Iterator[Link]:
    """A connection."""
    link = Link(parse(samba.location()).account)
    yield link
    link.close()


def test_more_than_the_server_gives_credits_for(link: Link, name: str) -> None:
    """Who asks for more at a time waits, and all of it is done."""
    file = link.open(name, NEW_DRAFT)
    body = os.urandom(1 << 20)
    with ThreadPoolExecutor(60) as pool:
        list(pool.map(lambda at: link.write(file, at << 20, memoryview(body)), range(60)))
        parts = list(pool.map(lambda at: link.read(file, at << 20, 1 << 20), range(60)))
    assert all(part == body for part in parts)
    link.cut(file, 0)
    link.shut(file)


def test_many_names(link: Link, samba: Smbd, name: str) -> None:
    """A folder is read to its end, however large it is."""
    names = {f"{'x' * 200}-{number}" for number in range(900)}
    (samba.share / name).mkdir()
    for each in names:
        (samba.share / name / each).touch()
    folder = link.open(name, FOLDER)
    assert set(link.names(folder)) == names
    link.shut(folder)


def test_what_the_server_refuses(link: Link, name: str) -> None:
    """It is told by its status, and the connection stays."""
    with pytest.raises(Refusal, match="0xc0000034"):
        link.open(name, FOLDER)
    link.shut(link.open(name, NEW_DRAFT))
    with pytest.raises(Refusal, match="0xc0000035"):
        link.open(name, NEW_DRAFT)
    assert link.alive


def test_a_draft_has_one_writer(link: Link, samba: Smbd, name: str) -> None:
    """What a lost connection still has to write cannot come between what is written after it."""
    file = link.open(name, NEW_DRAFT)
    other = Link(parse(samba.location()).account)
    try:
        with pytest.raises(Refusal) as raised:
            other.open(name, DRAFT)
        assert raised.value.status == SHARED
        link.shut(file)
        other.shut(other.open(name, DRAFT))
    finally:
        other.close()


def test_an_answer_that_does_not_come(
    samba: Smbd, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for one is let go in time, and the connection is given up."""
    between = Between(samba.port)
    link = Link(parse(samba.location(port=between.port)).account)
    try:
        file = link.open(name, NEW_DRAFT)
        monkeypatch.setattr(smb_link, "FLUSH", 0.5)
        between.stall()
        before = time.monotonic()
        with pytest.raises(Lost):
            link.flush(file)
        assert time.monotonic() - before < 10
        assert not link.alive
    finally:
        link.close()
        between.close()


def test_a_connection_that_is_closed_while_others_wait(samba: Smbd, name: str) -> None:
    """They are let go, too."""
    between = Between(samba.port)
    link = Link(parse(samba.location(port=between.port)).account)
    ended = []

    def write(at: int) -> None:
        with pytest.raises(Lost):
            link.write(file, at << 20, memoryview(bytes(1 << 20)))
        ended.append(at)

    try:
        file = link.open(name, NEW_DRAFT)
        between.stall()
        threads = [threading.Thread(target=write, args=(at,)) for at in range(30)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        between.cut()
        for thread in threads:
            thread.join(10)
        assert len(ended) == 30
    finally:
        link.close()
        between.close()


def test_silence(samba: Smbd, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that nobody uses stays, and one whose other end is gone is noticed."""
    monkeypatch.setattr(smb_transport, "SILENCE", 0.2)
    between = Between(samba.port)
    link = Link(parse(samba.location(port=between.port)).account)
    try:
        time.sleep(1)
        link.shut(link.open(name, NEW_DRAFT))
        between.stall()
        eventually(lambda: not link.alive)
    finally:
        link.close()
        between.close()


def test_a_server_that_is_none() -> None:
    """What does not speak SMB, or nothing at all, is told in a sentence."""
    account = parse("127.0.0.1:1/share?user=u&password=p").account
    with pytest.raises(Unreachable, match="cannot be reached"):
        Link(account)
