"""What is taken as plain means the same to aiohttp's parser, however it is damaged."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from filepipe.protocols.plain import parse_plain
from tests.protocols.plain_judge import MAX_BODY, NEXT, assert_agreed

_field = st.sampled_from(
    [
        "Accept: */*", "accept-encoding: gzip", "User-Agent: curl/8.5", "User-Agent:",
        "Connection: close", "connection:keep-alive", "Content-Type: text/plain; a=b",
        "Content-Length: 5", "Content-Length: 0", "Content-Length: 12", "Host: b",
        "Transfer-Encoding: chunked", "Upgrade: websocket", "Content-Encoding: gzip",
        "Expect: 100-continue", "X-Other: 1",
    ]
)  # fmt: skip
_bodies = st.sampled_from([b"", b"hello", b"hello, world", b"\r\n\r\n", b"0\r\n\r\n", NEXT])
_hosts = st.sampled_from(["Host: localhost", "host:A:80", "Host:  [::1]:1 "])


def _joined(line: str, fields: list[str], body: bytes) -> bytes:
    return "\r\n".join((line, *fields, "", "")).encode() + body


@st.composite
def _good(draw: st.DrawFn) -> bytes:
    """A request that is plain."""
    path = draw(st.sampled_from(["/k", "/a/b.c", "/~x/y-1"]))
    fields = [draw(_hosts), *draw(st.lists(_field.filter(_is_plain), max_size=3, unique_by=_name))]
    if draw(st.booleans()):
        return _joined(f"GET {path} HTTP/1.1", fields, b"")
    body = draw(_bodies)
    fields.insert(draw(st.integers(0, len(fields))), f"Content-Length: {len(body)}")
    return _joined(f"PUT {path} HTTP/1.1", fields, body)


def _name(field: str) -> str:
    return field.partition(":")[0].lower()


def _is_plain(field: str) -> bool:
    return _name(field) in ("accept", "accept-encoding", "user-agent", "connection", "content-type")


_any = st.builds(
    lambda method, host, fields, body: _joined(f"{method} /k HTTP/1.1", [host, *fields], body),
    st.sampled_from(["GET", "PUT"]),
    _hosts,
    st.lists(_field, max_size=4),
    _bodies,
)
_inserts = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b"\0", b"\t", b" ", b":", b"\r\n ", b"+", b"0", b"-", b",", b"%", b"/",
     b"\x7f", b"\xff", b"\x0b", b"\x0c", b"\x85", b"1" * 20, b"\r\nContent-Length: 3", b"\r\n\r\n"]
)  # fmt: skip
_lengths = st.sampled_from(
    [
        "+5",
        "-5",
        "05",
        "5 5",
        "5,5",
        "0x5",
        "5.",
        " 5",
        "5 ",
        "",
        "\xb2",
        "1_2",
        "4096",
        "4097",
        "9" * 20,
    ]
)


@st.composite
def _broken(draw: st.DrawFn) -> bytes:
    """A plain request that was damaged in one or two places, most often where its parts meet."""
    data = draw(_good())
    for _ in range(draw(st.integers(1, 2))):
        meetings = [m.end() for m in re.finditer(rb"[^A-Za-z]|$", data)]
        place = draw(st.sampled_from(meetings) | st.integers(0, len(data)))
        kind = draw(
            st.sampled_from(["insert", "insert", "insert", "flip", "cut", "case", "repeat"])
        )
        at = data[place : place + 1]
        if kind == "insert":
            data = data[:place] + draw(_inserts) + data[place:]
        elif kind == "flip" and at:
            data = data[:place] + bytes([at[0] ^ draw(st.integers(1, 255))]) + data[place + 1 :]
        elif kind == "cut":
            data = data[:place] + data[place + draw(st.integers(1, 8)) :]
        elif kind == "case":
            data = data[:place] + at.swapcase() + data[place + 1 :]
        elif kind == "length":
            length = b"Content-Length: " + draw(_lengths).encode("latin-1")
            data = re.sub(rb"Content-Length: [0-9]+", length, data)
        else:
            lines = data.split(b"\r\n")
            line = draw(st.integers(0, len(lines) - 1))
            one = lines[line] if kind == "repeat" else draw(_field).encode()
            data = b"\r\n".join([*lines[: line + 1], one, *lines[line + 1 :]])
    return data


@given(data=_good())
@settings(max_examples=100)
def test_all_that_is_good_is_taken(data: bytes) -> None:
    """So that the next tests damage something."""
    assert assert_agreed(data) is not None


@given(data=_any)
@settings(max_examples=200)
def test_agreement(data: bytes) -> None:
    """Requests whose fields need not fit together."""
    assert_agreed(data)


@given(data=_broken())
@settings(max_examples=1200)
def test_agreement_about_what_is_damaged(data: bytes) -> None:
    """A byte too much, too few or different: nothing is taken that aiohttp reads differently."""
    assert_agreed(data)


@given(head=st.text(st.sampled_from("GETPU /k.1HTP\r\n:host-,c\t\0"), max_size=60))
@settings(max_examples=300)
def test_agreement_about_noise(head: str) -> None:
    """The same for what was never a request."""
    assert_agreed(head.encode())


@given(data=_good())
@settings(max_examples=50)
def test_a_head_that_is_not_all_there(data: bytes) -> None:
    """No beginning of a head is taken for a request."""
    head, end, _ = data.partition(b"\r\n\r\n")
    for size in range(len(head + end)):
        assert parse_plain(data[:size], MAX_BODY) is None
