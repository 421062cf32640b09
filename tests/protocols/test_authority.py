"""The Host header: syntax everywhere, loopback names where only loopback listens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from filepipe.errors import BadRequest, Misdirected
from filepipe.protocols.authority import check_host, is_foreign_name, is_loopback_name

HOSTS = st.text(st.one_of(st.sampled_from("[]:.%@/1aF"), st.characters()), max_size=30)


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "example.com:80",
        "h:",
        "h:0",
        "h:65535",
        "127.0.0.1:3000",
        "[::1]:3000",
        "a_b",
        "[2001:db8::1]",
        "xn--bcher-kva.example",
        "a%41",
        "h.",
        "a" * 255,
    ],
)
def test_well_formed_host(host: str) -> None:
    """Names, addresses and ports of RFC 3986 pass."""
    check_host(host, True, False)


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        ":80",
        "a b",
        "a/b",
        "a@b",
        "a?b",
        "a#b",
        "h:65536",
        "h:999999",
        "h:-1",
        "h:x",
        "é",
        "[::1",
        "::1",
        "[::1]x",
        "[1.2.3.4]",
        "[:::]",
        "[::1%25lo]",
        "[]",
        "a%4",
        "a%zz",
        "a,b c",
        "a\x00",
        "a\n",
        "a" * 256,
        "h:1:2",
        "a\\b",
        "\udcff",
        "h:٣",
    ],
)
@pytest.mark.parametrize("version_1_1", [True, False])
def test_malformed_host_refused(host: str, version_1_1: bool) -> None:
    """Anything else is refused, whatever the version."""
    with pytest.raises(BadRequest, match=r"^Host header is malformed$"):
        check_host(host, version_1_1, False)


def test_missing_host() -> None:
    """Only HTTP/1.0 may leave Host out."""
    with pytest.raises(BadRequest, match=r"^Host header is missing$"):
        check_host(None, True, False)
    check_host(None, False, True)


LOOPBACK = [
    "localhost",
    "LocalHost",
    "a.localhost",
    "a.b.localhost",
    "127.0.0.1",
    "127.9.8.7",
    "127.255.255.255",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
]
FOREIGN = [
    "example.com",
    "localhost.",
    "localhost.example.com",
    "xlocalhost",
    "a..localhost",
    "127.1",
    "127.0.0.256",
    "127.0.0.01",
    "128.0.0.1",
    "0.0.0.0",
    "127.0.0.1.",
    "0x7f.0.0.1",
    "[::]",
    "[::2]",
    "[::ffff:127.0.0.1]",
    "127.0.0.1.example.com",
    ".localhost",
]


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_name_accepted(host: str) -> None:
    """Names that can only mean this machine, with and without a port."""
    assert is_loopback_name(host)
    check_host(host, True, True)
    check_host(host + ":3000", True, True)


@pytest.mark.parametrize("host", FOREIGN)
def test_foreign_name_misdirected(host: str) -> None:
    """A name that somebody else may own, or spell in another way, is not answered."""
    assert not is_loopback_name(host)
    with pytest.raises(Misdirected):
        check_host(host, True, True)


def test_bare_ipv6_loopback() -> None:
    """The brackets are optional where no port can follow."""
    assert is_loopback_name("::1")


@given(HOSTS)
def test_accepted_host_makes_a_url(host: str) -> None:
    """Whatever passes can be put into a URL by the library that the server uses."""
    try:
        check_host(host, True, False)
    except BadRequest:
        return
    assert str(URL.build(scheme="http", authority=host))


@pytest.mark.parametrize(
    ("host", "foreign"),
    [("localhost", False), ("localhost:3000", False), ("a.localhost", False), ("127.0.0.1", False),
     ("0.0.0.0:3000", False), ("192.0.2.1", False), ("[::1]:80", False), ("[2001:db8::1]", False),
     ("example.org", True), ("example.org:80", True), ("localhost.example.org", True),
     ("127.0.0.1.example.org", True), ("", True), ("a b", True)],
)  # fmt: skip
def test_a_name_that_may_lead_here_by_a_trick(host: str, foreign: bool) -> None:
    """A browser says the name of the page's own server, and no server owns an address."""
    assert is_foreign_name(host) is foreign
