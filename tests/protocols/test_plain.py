"""What is plain, as a table."""

from __future__ import annotations

import pytest
from aiohttp.http_parser import HttpRequestParser

from filepipe.protocols.plain import MAX_HEAD, PlainRequest, parse_plain
from tests.protocols.plain_judge import MAX_BODY, NEXT, assert_agreed


def request(line: str, *fields: str, body: bytes = b"") -> bytes:
    """The bytes of a request with a Host and a length where one belongs."""
    lines = [line, "Host: a", *fields]
    if line.startswith("PUT") and not any(f.lower().startswith("content-length") for f in fields):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


def get(*fields: str) -> bytes:
    """A GET with more fields than it needs."""
    return request("GET /key HTTP/1.1", *fields)


def put(*fields: str, body: bytes = b"hello") -> bytes:
    """A PUT of five bytes."""
    return request("PUT /key HTTP/1.1", *fields, body=body)


def plain(
    method: str, path: str = "/key", host: str = "a", *, content_type: str | None = None,
    close: bool = False, body: bytes = b"", missing: int = 0,
) -> PlainRequest:  # fmt: skip
    """What `parse_plain` makes of those."""
    return PlainRequest(method, path, host, content_type, close, body, missing)


def test_the_judge_is_the_parser_that_serves() -> None:
    """The one in C; the one in Python reads some things differently."""
    assert HttpRequestParser.__module__ == "aiohttp._http_parser"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (get(), plain("GET")),
        (put(), plain("PUT", body=b"hello")),
        (put(body=b""), plain("PUT")),
        (put(body=b"\r\n\r\n\0"), plain("PUT", body=b"\r\n\r\n\0")),
        (put("Content-Length: 8"), plain("PUT", body=b"hello", missing=3)),
        (put("Content-Length: 4096"), plain("PUT", body=b"hello", missing=4091)),
        (put("Content-Length: 5  "), plain("PUT", body=b"hello")),
        (put("Content-Type: a/b ; c=d "), plain("PUT", content_type="a/b ; c=d", body=b"hello")),
        (put("content-TYPE:x"), plain("PUT", content_type="x", body=b"hello")),
        (put("Content-Type:"), plain("PUT", content_type="", body=b"hello")),
        (get("Connection: Close"), plain("GET", close=True)),
        (get("Connection:   keep-ALIVE  "), plain("GET")),
        (get("User-Agent: curl/8", "Accept: */*", "Accept-Encoding: gzip"), plain("GET")),
        (request("GET /a/B_9/~x/y.z-1 HTTP/1.1"), plain("GET", "/a/B_9/~x/y.z-1")),
        (b"GET /key HTTP/1.1\r\nHost:\r\n\r\n", plain("GET", host="")),
    ],
)  # fmt: skip
def test_plain(data: bytes, expected: PlainRequest) -> None:
    """What curl sends is taken, and aiohttp agrees."""
    assert parse_plain(data, MAX_BODY) == expected
    assert assert_agreed(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n" + get(),
        get() + b"\r\n",
        get() + b"G",
        put() + b"!",
        put() + NEXT,
        get()[:-1],
        get()[:-2],
        get().replace(b"\r\n", b"\n"),
        get().replace(b"\r\n", b"\n", 1),
        get().replace(b"\r\n\r\n", b"\r\n\n"),
        get().replace(b" HTTP", b"  HTTP"),
        get().replace(b"GET ", b"GET\t"),
        get().replace(b"GET", b"get"),
        get().replace(b"GET", b"HEAD"),
        get().replace(b"GET", b"POST"),
        get().replace(b"GET", b"DELETE"),
        get().replace(b"1.1", b"1.0"),
        get().replace(b"1.1", b"1.2"),
        get().replace(b"1.1", b"2.0"),
        get().replace(b"HTTP/1.1", b"http/1.1"),
        get().replace(b"HTTP/1.1\r", b"HTTP/1.1 \r"),
        get().replace(b"Host: a\r\n", b""),
        get().replace(b"Host: a", b"Host : a"),
        get().replace(b"Host: a", b" Host: a"),
        get().replace(b"Host: a", b"Host: a\r\n b"),
        get().replace(b"Host: a", b"Host:\ta"),
        get().replace(b"Host: a", b"Host: a\xe4"),
        get("Host: a"),
        get("host: b"),
        get("Accept: a", "Accept: b"),
        get("User-Agent: a\x00"),
        get("User-Agent: a\x7f"),
        get("User-Agent: a\rb"),
        get("User-Agent: a\nTransfer-Encoding: chunked"),
        get("Accept-: x"),
        get(": x"),
        get("Accept"),
        get("Content-Length: 0"),
        get("Content-Length: 5"),
        get("Connection: upgrade"),
        get("Connection: close, keep-alive"),
        get("Connection:"),
        get("X-Other: 1"),
        get("Range: bytes=0-"),
        get("Transfer-Encoding: chunked"),
        get("Expect: 100-continue"),
        put("Transfer-Encoding: chunked"),
        put("Content-Length: 5", "Content-Length: 5"),
        put("Content-Length: +5"),
        put("Content-Length: -5"),
        put("Content-Length: 05"),
        put("Content-Length: 0x5"),
        put("Content-Length: 5.0"),
        put("Content-Length: 5,5"),
        put("Content-Length: 5 5"),
        put("Content-Length: \xb2"),
        put("Content-Length:"),
        put("Content-Length: 4"),
        put("Content-Length: 4097"),
        put("Content-Length: 9999999999"),
        put("Content-Length: 18446744073709551621"),
        put("Content-Length: " + "9" * 1000),
        put().replace(b"Content-Length: 5\r\n", b""),
        put().replace(b"Content-Length:", b"Content-Length :"),
        put("Content-Encoding: gzip"),
        *(request(f"GET {path} HTTP/1.1") for path in (
            "/", "//", "/a/", "//a", "/a//b", "/.", "/..", "/a/../b", "/.hidden",
            "/-/x", "/a/-b", "/a?b", "/a#b", "/a%20b", "/a\xe4", "/a:b",
            "a", "*", "http://a/b", "/a b", "", "/a\x00",
        )),
        request("GET /" + "k" * MAX_HEAD + " HTTP/1.1"),
    ],
)  # fmt: skip
def test_somebody_elses(data: bytes) -> None:
    """Not plain, whether it is good or bad."""
    assert parse_plain(data, MAX_BODY) is None


@pytest.mark.parametrize(
    "data",
    [
        b"G" * 2**20,
        b"GET /" + b"a/" * 2**19,
        b"GET /" + b"a/" * 900 + b" HTTP/1.1\r\n\r\n",
        b"GET /a HTTP/1.1" + b"\r\nAccept: x" * 180 + b"\r\n\0\r\n\r\n",
        b"GET /a HTTP/1.1\r\n" + b"-" * 2000 + b"\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost:" + b" " * 2000 + b"\x7f\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n" + b"\r\n\r\n" * 2**18,
        b"\r\n" * 2**19,
        b"\r\n\r" * 2**18,
    ],
    ids=range(9),
)
def test_hostile_sizes(data: bytes) -> None:
    """A hundred looks at the worst heads and at a megabyte are no work."""
    for _ in range(100):
        assert parse_plain(data, MAX_BODY) is None
