"""Departures: a peer that leaves is seen, although nobody reads what it sends."""

from __future__ import annotations

import socket

import pytest

from filepipe.web.departures import Departures


@pytest.fixture
async def departures():
    """Closed at the end."""
    departures = Departures()
    yield departures
    departures.close()


async def test_who_stays_is_not_told_of(departures):
    """However much it sends."""
    ours, theirs = socket.socketpair()
    told = []
    with ours, theirs:
        with departures.watch(ours, told.append):
            theirs.sendall(b"hello")
        assert told == []
