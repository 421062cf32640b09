"""Handshakes, origins, and the meter, which must agree with itself however bytes are cut."""

from __future__ import annotations

import base64
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.errors import BadRequest, Forbidden, TooLarge, UpgradeRequired
from filepipe.protocols.websocket import (
    Meter,
    Op,
    check_handshake,
    check_origin,
    frame,
    wants_upgrade,
)
from tests.scenarios.httpfstream.wire import masked

GOOD = {
    "Upgrade": "WebSocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
}


def test_a_good_handshake() -> None:
    """As browsers send it; other cases and tokens are fine."""
    assert wants_upgrade(GOOD)
    check_handshake(GOOD, (1, 1))
    check_handshake({**GOOD, "Content-Length": "0"}, (1, 1))


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [("Upgrade", "h2c", UpgradeRequired), ("Sec-WebSocket-Version", "8", UpgradeRequired),
     ("Sec-WebSocket-Version", "", UpgradeRequired), ("Connection", "close", BadRequest),
     ("Sec-WebSocket-Key", "", BadRequest), ("Sec-WebSocket-Key", "AAAA", BadRequest),
     ("Sec-WebSocket-Key", "ä", BadRequest), ("Sec-WebSocket-Key", "A" * 23, BadRequest),
     ("Content-Length", "1", BadRequest), ("Transfer-Encoding", "chunked", BadRequest)],
)  # fmt: skip
def test_a_bad_handshake(name: str, value: str, error: type[Exception]) -> None:
    """Each fault has its refusal."""
    with pytest.raises(error):
        check_handshake({**GOOD, name: value}, (1, 1))


def test_no_handshake_in_http_1_0() -> None:
    """Nothing is upgraded there."""
    with pytest.raises(BadRequest):
        check_handshake(GOOD, (1, 0))


@pytest.mark.parametrize(
    ("origin", "host", "public"),
    [(None, "a", None), ("http://a", "a", None), ("http://A:80", "a", None),
     ("https://a", "a:443", None), ("http://a:3000", "A:3000", None),
     ("http://[::1]:3000", "[::1]:3000", None), ("https://b", "a", "https://b/x"),
     ("https://b:8443", "a", "https://b:8443")],
)  # fmt: skip
def test_a_page_of_ours(origin: str | None, host: str, public: str | None) -> None:
    """The same host and port, or those of the public URL; a program names none."""
    check_origin(origin, host, public)


@pytest.mark.parametrize(
    ("origin", "host", "public"),
    [("http://[::1", "[::1]", None), ("http://[x]", "x", None), ("http://\u2100", "x", None),
     ("http://b", "a", None), ("null", "null", None), ("", "", None), ("http://a:81", "a", None),
     ("https://a", "a:80", None), ("ftp://a", "a", None), ("http://a.b", "a", "https://b"),
     ("http://a", None, None), ("http://a@b", "a", None)],
)  # fmt: skip
def test_a_page_of_others(origin: str, host: str | None, public: str | None) -> None:
    """Anything else, also what is no origin."""
    with pytest.raises(Forbidden):
        check_origin(origin, host, public)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_a_frame_is_what_the_meter_reads(size: int) -> None:
    """But for the mask, which a server has none."""
    data = frame(Op.BINARY, bytes(size))
    assert data[0] == 0x82
    assert data.endswith(bytes(size))
    meter = Meter(1 << 20)
    assert meter.feed(data) == 0
    assert isinstance(meter.fault, BadRequest)
    assert not meter.between


FRAMES = st.one_of(
    st.builds(lambda data: (masked(Op.TEXT, data), True), st.binary(max_size=200)),
    st.builds(lambda data: (masked(Op.PING, data), True), st.binary(max_size=125)),
    st.builds(
        lambda data: (
            masked(Op.TEXT, data, last=False) + masked(Op.PONG, b"") + masked(0, data), True
        ),
        st.binary(max_size=200),
    ),
)  # fmt: skip


@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(0, 300), max_size=12))
def test_cuts_do_not_matter(frames: list[tuple[bytes, bool]], cuts: list[int]) -> None:
    """Between whole messages it says so, inside it says not; nothing is left unfinished."""
    data = b"".join(frame for frame, _ in frames)
    meter = Meter(1000)
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    for start, stop in itertools.pairwise(places):
        assert meter.feed(data[start:stop]) == stop - start
    assert (meter.between, meter.unfinished, meter.fault) == (True, 0, None)
    if data:
        cut = Meter(1000)
        cut.feed(data[:-1])
        assert not cut.between


def test_what_is_unfinished_is_counted() -> None:
    """Over the frames of a message; control frames between them are none of it."""
    meter = Meter(10)
    meter.feed(masked(Op.TEXT, b"1234", last=False) + masked(Op.PING, b"ping"))
    assert (meter.unfinished, meter.open) == (4, True)
    meter.feed(masked(0, b"567890")[:-1])
    assert meter.unfinished == 9
    meter.feed(b"x")
    assert (meter.unfinished, meter.between) == (0, True)


@pytest.mark.parametrize(
    "data",
    [masked(Op.TEXT, bytes(11)), masked(Op.BINARY, bytes(300)), masked(Op.TEXT, bytes(70_000)),
     masked(Op.TEXT, bytes(10), last=False) + masked(0, b"x")],
)  # fmt: skip
def test_too_large_is_seen_in_the_head(data: bytes) -> None:
    """Before the bytes come; what is behind is not looked at."""
    meter = Meter(10)
    assert meter.feed(masked(Op.TEXT, bytes(10))) == 16
    assert meter.feed(data) < len(data)
    assert isinstance(meter.fault, TooLarge)


def test_bytes_before_a_fault_pass() -> None:
    """The message before it is whole."""
    good = masked(Op.TEXT, b"good")
    meter = Meter(10)
    assert meter.feed(good + b"\x81\x00") == len(good)
    assert isinstance(meter.fault, BadRequest)
