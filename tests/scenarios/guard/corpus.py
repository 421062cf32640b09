"""Raw requests that are wrong in one way each, and the status that each must get.

ZQX stands in whatever a client chooses freely, so that an echo of it would be seen.
"""

from __future__ import annotations

from typing import NamedTuple

HOST = b"Host: localhost\r\n"
CLOSE = b"Connection: close\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LAST = b"0\r\n\r\n"


class Case(NamedTuple):
    """One request and its answer's status."""

    name: str
    data: bytes
    status: int

    def __str__(self) -> str:
        return self.name


def get(fields: bytes = b"", *, line: bytes = b"GET /ZQX?wait=0 HTTP/1.1") -> bytes:
    """A GET with a Host and more fields."""
    return line + b"\r\n" + HOST + fields + b"\r\n"


def put(fields: bytes, body: bytes = b"hello", *, version: bytes = b"1.1") -> bytes:
    """A PUT with a Host and more fields."""
    return b"PUT /ZQX HTTP/" + version + b"\r\n" + HOST + fields + b"\r\n" + body


def chunks(body: bytes) -> bytes:
    """A PUT with `body` as its chunks."""
    return put(CHUNKED, body)


def target(text: bytes, *, host: bytes = b"localhost", method: bytes = b"GET") -> bytes:
    """A request for `text`."""
    return method + b" " + text + b" HTTP/1.1\r\nHost: " + host + b"\r\n" + CLOSE + b"\r\n"


def host(text: bytes) -> bytes:
    """A GET with this Host."""
    return target(b"/ZQX", host=text)


LENGTHS = [
    Case("two lengths alike", put(b"Content-Length: 5\r\nContent-Length: 5\r\n"), 400),
    Case("two lengths", put(b"Content-Length: 5\r\nContent-Length: 6\r\n"), 400),
    Case("length list", put(b"Content-Length: 5, 5\r\n"), 400),
    Case("length +5", put(b"Content-Length: +5\r\n"), 400),
    Case("length -1", put(b"Content-Length: -1\r\n"), 400),
    Case("length 0x5", put(b"Content-Length: 0x5\r\n"), 400),
    Case("length 1_0", put(b"Content-Length: 1_0\r\n"), 400),
    Case("length 5 5", put(b"Content-Length: 5 5\r\n"), 400),
    Case("length 5.0", put(b"Content-Length: 5.0\r\n"), 400),
    Case("length ZQX", put(b"Content-Length: ZQX\r\n"), 400),
    Case("length none", put(b"Content-Length:\r\n"), 400),
    Case("length in Arabic", put("Content-Length: \u0665\r\n".encode()), 400),
    Case("length beyond 64 bits", put(b"Content-Length: 99999999999999999999999\r\n"), 400),
    Case("length space colon", put(b"Content-Length : 5\r\n"), 400),
]

CODINGS = [
    Case("length and chunks", put(b"Content-Length: 5\r\n" + CHUNKED, LAST), 400),
    Case("chunks and length", put(CHUNKED + b"Content-Length: 5\r\n", LAST), 400),
    Case("chunked twice", put(CHUNKED + CHUNKED, LAST), 400),
    Case("chunked, chunked", put(b"Transfer-Encoding: chunked, chunked\r\n", LAST), 400),
    Case("xchunked", put(b"Transfer-Encoding: xchunked\r\n", LAST), 400),
    Case("chunked in quotes", put(b'Transfer-Encoding: "chunked"\r\n', LAST), 400),
    Case("chunked with a parameter", put(b"Transfer-Encoding: chunked;ZQX=1\r\n", LAST), 400),
    Case("chunked behind a tab", put(b"Transfer-Encoding: \x0bchunked\r\n", LAST), 400),
    Case("chunked, gzip", put(b"Transfer-Encoding: chunked, gzip\r\n", LAST), 400),
    Case("coding space colon", put(b"Transfer-Encoding : chunked\r\n", LAST), 400),
    Case("coding on 1.0", put(CHUNKED, LAST, version=b"1.0"), 400),
    Case("identity", put(b"Transfer-Encoding: identity\r\n", b""), 400),
    Case("gzip", put(b"Transfer-Encoding: gzip\r\n", b""), 400),
    Case("no coding", put(b"Transfer-Encoding:\r\n", b""), 501),
    Case("gzip, chunked", put(b"Transfer-Encoding: gzip, chunked\r\n", LAST), 501),
    Case("gzip, chunked in two lines", put(b"Transfer-Encoding: gzip\r\n" + CHUNKED, LAST), 400),
]

CHUNKS = [
    Case("chunk size ZQX", chunks(b"ZQX\r\nhello\r\n" + LAST), 400),
    Case("chunk size 0x5", chunks(b"0x5\r\nhello\r\n" + LAST), 400),
    Case("chunk size +5", chunks(b"+5\r\nhello\r\n" + LAST), 400),
    Case("chunk size -5", chunks(b"-5\r\nhello\r\n" + LAST), 400),
    Case("chunk size and space", chunks(b"5 \r\nhello\r\n" + LAST), 400),
    Case("chunk size none", chunks(b"\r\nhello\r\n" + LAST), 400),
    Case("chunk size beyond 64 bits", chunks(b"f" * 17 + b"\r\nhello\r\n" + LAST), 400),
    Case("chunks by bare LF", chunks(b"5\nhello\n0\n\n"), 400),
    Case("chunk longer than it says", chunks(b"5\r\nhelloZQX\r\n" + LAST), 400),
    Case("too many trailers", chunks(b"5\r\nhello\r\n0\r\n" + b"X: ZQX\r\n" * 500 + b"\r\n"), 400),
]

LINES = [
    Case("bare LF", b"GET /ZQX HTTP/1.1\nHost: localhost\n\n", 400),
    Case("bare LF in a field", b"GET /ZQX HTTP/1.1\r\nHost: localhost\nX: ZQX\r\n\r\n", 400),
    Case("bare CR", b"GET /ZQX HTTP/1.1\rHost: localhost\r\r", 400),
    Case("bare CR in a value", get(b"X: a\rZQX\r\n"), 400),
    Case("folded", get(b"X: a\r\n ZQX\r\n"), 400),
    Case("folded at first", b"GET /ZQX HTTP/1.1\r\n X: ZQX\r\n" + HOST + b"\r\n", 400),
    Case("NUL in a value", get(b"X: a\0ZQX\r\n"), 400),
    Case("NUL in a name", get(b"X\0ZQX: a\r\n"), 400),
    Case("NUL in the target", get(line=b"GET /ZQX\0 HTTP/1.1"), 400),
    Case("control in the target", get(line=b"GET /ZQX\x01 HTTP/1.1"), 400),
    Case("DEL in the target", get(line=b"GET /ZQX\x7f HTTP/1.1"), 400),
    Case("bare UTF-8 in the target", get(line="GET /ZQX\u00e9 HTTP/1.1".encode()), 400),
    Case("space in the target", get(line=b"GET /ZQX ZQX HTTP/1.1"), 400),
    Case("space at first", get(line=b" GET /ZQX HTTP/1.1"), 400),
    Case("tabs", get(line=b"GET\t/ZQX\tHTTP/1.1"), 400),
    Case("no colon", get(b"ZQX\r\n"), 400),
    Case("no name", get(b": ZQX\r\n"), 400),
    Case("space in a name", get(b"X ZQX: a\r\n"), 400),
    Case("brackets in a name", get(b"X(ZQX): a\r\n"), 400),
    Case("8 bits in a name", get(b"X\xe9: a\r\n"), 400),
    Case("long target", get(line=b"GET /ZQX" + b"a" * 9000 + b" HTTP/1.1"), 431),
    Case("very long target", get(line=b"GET /ZQX" + b"a" * 70_000 + b" HTTP/1.1"), 431),
    Case("long value", get(b"X: ZQX" + b"a" * 9000 + b"\r\n"), 431),
    Case("long name", get(b"ZQX" + b"a" * 9000 + b": a\r\n"), 431),
    Case("130 fields", get(b"".join(b"X%d: ZQX\r\n" % i for i in range(130))), 400),
    Case("two types", put(b"Content-Length: 5\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n"), 400),
]

VERSIONS = [
    Case("HTTP/0.9", get(line=b"GET /ZQX HTTP/0.9"), 505),
    Case("no version", b"GET /ZQX\r\n\r\n", 505),
    Case("HTTP/2.0", get(line=b"GET /ZQX HTTP/2.0"), 505),
    Case("HTTP/1.2", get(line=b"GET /ZQX HTTP/1.2"), 400),
    Case("HTTP/1.10", get(line=b"GET /ZQX HTTP/1.10"), 400),
    Case("HTTP/1", get(line=b"GET /ZQX HTTP/1"), 400),
    Case("http/1.1", get(line=b"GET /ZQX http/1.1"), 400),
    Case("HTTPS/1.1", get(line=b"GET /ZQX HTTPS/1.1"), 400),
    Case("preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    Case("PROXY protocol 1", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + get(), 400),
    Case("PROXY protocol 2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12), 400),
    Case("TLS", bytes.fromhex("16030100200100001c0303") + bytes(32), 400),
    Case("SSH", b"SSH-2.0-ZQX_9.2\r\n", 400),
]

METHODS = [
    Case("unknown method", get(line=b"ZQX /k HTTP/1.1"), 400),
    Case("method in small letters", get(line=b"get /ZQX HTTP/1.1"), 400),
    Case("CONNECT to an authority", target(b"localhost:80", method=b"CONNECT"), 400),
    Case("CONNECT to a key", target(b"/ZQX", method=b"CONNECT"), 405),
    Case("TRACE", target(b"/ZQX", method=b"TRACE"), 405),
    Case("OPTIONS *", target(b"*", method=b"OPTIONS"), 400),
    Case("GET *", target(b"*"), 400),
]

TARGETS = [
    Case("another host", target(b"http://ZQX.example/k"), 400),
    Case("another port", target(b"http://localhost:1/ZQX"), 400),
    Case("another scheme", target(b"ftp://localhost/ZQX"), 400),
    Case("a user", target(b"http://u:ZQX@localhost/k"), 400),
    Case("no host", target(b"http:///ZQX"), 400),
    Case("port beyond", target(b"http://localhost:99999/ZQX", host=b"localhost:99999"), 400),
    Case("port ZQX", target(b"http://localhost:ZQX/k", host=b"localhost:ZQX"), 400),
    Case("half an IPv6", target(b"http://[::1/ZQX", host=b"[::1"), 400),
    Case("fragment", target(b"/ZQX#f"), 400),
    Case("no slash", target(b"ZQX"), 400),
    Case("another host by 1.0", b"GET http://ZQX.example/k HTTP/1.0\r\n\r\n", 421),
]

HOSTS = [
    Case("no Host", b"GET /ZQX HTTP/1.1\r\n" + CLOSE + b"\r\n", 400),
    Case("two Hosts", b"GET /ZQX HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
    Case("empty Host", host(b""), 400),
    Case("Host a/b@c:99999999", host(b"a/b@ZQX:99999999"), 400),
    Case("Host with a user", host(b"u@localhost"), 400),
    Case("Host with a path", host(b"localhost/ZQX"), 400),
    Case("Host with a space", host(b"local host"), 400),
    Case("Host with two ports", host(b"localhost:1:2"), 400),
    Case("Host with port 65536", host(b"localhost:65536"), 400),
    Case("Host with port -1", host(b"localhost:-1"), 400),
    Case("Host in half a bracket", host(b"[::1"), 400),
    Case("Host in brackets", host(b"[ZQX]"), 400),
    Case("Host with a bad escape", host(b"localhost%zz"), 400),
    Case("Host in UTF-8", host("l\u00f6calhost".encode()), 400),
    Case("Host with bad bytes", host(b"localhost\xff"), 400),
    Case("Host list", host(b"localhost, localhost"), 400),
    Case("long Host", host(b"ZQX" * 100), 400),
]

EXPECTATIONS = [
    Case("Expect ZQX", put(b"Content-Length: 5\r\nExpect: ZQX\r\n" + CLOSE), 417),
    Case("Expect a list", put(b"Content-Length: 5\r\nExpect: 100-continue, ZQX\r\n" + CLOSE), 417),
]

CASES = [
    *LENGTHS, *CODINGS, *CHUNKS, *LINES, *VERSIONS, *METHODS, *TARGETS, *HOSTS, *EXPECTATIONS
]  # fmt: skip
SHORT = [case for case in CASES if len(case.data) < 500]
