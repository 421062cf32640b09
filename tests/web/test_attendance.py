"""Connections among an audience: what they take, when they let go, what they say in silence."""

import asyncio
import types

import pytest
from aiohttp import HttpVersion10, HttpVersion11

from filepipe.web.attendance import Seat, http_seat, plain
from filepipe.web.stall import Watch


class Transport:
    """A socket that takes everything until it is told to take nothing."""

    def __init__(self, secure=False):
        self.secure = secure
        self.written = []
        self.stuck = False
        self.closing = False

    def get_extra_info(self, name):
        return object() if name == "sslcontext" and self.secure else None

    def set_write_buffer_limits(self, high):
        assert high == 0

    def is_closing(self):
        return self.closing

    def write(self, data):
        self.written.append(data)

    def get_write_buffer_size(self):
        return 1 if self.stuck else 0


class Follower:
    """There is something for it once its audience has let go."""

    def __init__(self, attend):
        self.is_near = True
        audience = types.SimpleNamespace(attend=attend, admits=lambda follower: follower.is_near)
        self.log = types.SimpleNamespace(audience=audience)


def requested(transport, version=HttpVersion11):
    """The request of whoever is behind the transport."""
    request = types.SimpleNamespace(transport=transport, version=version)

    async def drain():
        if transport.closing:
            request.transport = None

    request.writer = types.SimpleNamespace(drain=drain)
    return request


def seated(transport, attend, **how):
    """A seat, and what it counted."""
    counted = []
    seat = Seat(requested(transport), Follower(attend), plain, plain, counted.append, **how)
    return seat, counted


async def test_it_takes_and_says_when_that_was_too_much():
    """What was written counts, also while it waits to be sent."""
    transport = Transport()
    seat, counted = seated(transport, None)
    assert seat.take(b"one", 3)
    transport.stuck = True
    assert not seat.take(b"three", 5)
    transport.closing = True
    assert not seat.take(b"nothing", 7)
    assert (transport.written, counted) == ([b"one", b"three"], [3, 5])


async def test_silence_is_broken():
    """By a sign, as often as it lasts that long, until there is something."""
    transport = Transport()
    signs = asyncio.Event()

    async def attend(seat):
        if len(transport.written) == 2:
            seat.follower.is_near = False
        else:
            await signs.wait()

    seat, counted = seated(transport, attend, silence=0.01, sign=b"ping")
    with Watch(10.0, "took") as stall:
        await seat.attend(stall)
    assert (transport.written, counted) == ([b"ping", b"ping"], [])


async def test_who_has_gone_is_noticed():
    """Instead of being given bytes for ever."""
    transport = Transport()

    async def attend(seat):
        transport.closing = True

    seat, _ = seated(transport, attend)
    with pytest.raises(ConnectionError), Watch(10.0, "took") as stall:
        await seat.attend(stall)


async def test_what_is_encrypted_does_not_attend():
    """Its buffers are not those of the socket."""
    seat, _ = seated(Transport(secure=True), None)
    with Watch(10.0, "took") as stall:
        await seat.attend(stall)


@pytest.mark.parametrize(
    ("version", "sent"), [(HttpVersion11, b"5\r\nab cd\r\n"), (HttpVersion10, b"ab cd")]
)
async def test_a_body_that_grows(version, sent):
    """In chunks where its reader knows them."""
    seat = http_seat(requested(Transport(), version), Follower(None), lambda request, size: None)
    assert seat.shape([b"ab", b" cd"], whole=True) == (sent, 5)
