"""Addresses of listeners as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.config.listen import PROTOCOLS, Listen, Scheme, parse_port

LABELS = st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True)
HOSTS = st.one_of(
    st.none(),
    st.ip_addresses().map(str),
    st.lists(LABELS, min_size=1, max_size=4).map(".".join),
)
PATHS = st.from_regex(r"/?[a-z0-9. =:/é-]{0,60}[a-z0-9]", fullmatch=True)
SCHEMES: st.SearchStrategy[Scheme] = st.sampled_from(["http", "https"])
ADDRESSES = st.one_of(
    st.builds(
        Listen, SCHEMES, st.just("tcp"), HOSTS, st.integers(0, 65535),
        protocol=st.sampled_from(PROTOCOLS),
    ),
    st.builds(Listen, SCHEMES, st.just("unix"), path=PATHS, protocol=st.sampled_from(PROTOCOLS)),
    st.builds(
        Listen, SCHEMES, st.just("fd"), protocol=st.sampled_from(PROTOCOLS),
        name=st.from_regex(r"[A-Za-z0-9._@-]{1,40}", fullmatch=True),
    ),
)  # fmt: skip


@given(ADDRESSES, st.sampled_from(PROTOCOLS), SCHEMES)
def test_every_address_survives_writing_and_reading(
    listen: Listen, protocol: str, scheme: Scheme
) -> None:
    """What str() writes, parse() reads back, whatever the defaults."""
    assert listen == Listen.parse(str(listen), protocol, scheme)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    """No text makes parse() fail in another way than with one printable sentence."""
    sentence = ""
    try:
        listen = Listen.parse(text)
        assert listen == Listen.parse(str(listen))
    except ValueError as error:
        sentence = str(error)
    assert sentence.isprintable()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.0.0.0:3000", Listen(host="0.0.0.0", port=3000)),
        (":8080", Listen(host=None, port=8080)),
        ("[::1]:3000", Listen(host="::1", port=3000)),
        ("[::]", Listen(host="::", port=3000)),
        ("localhost", Listen(host="localhost", port=3000)),
        ("http://localhost:0", Listen(host="localhost", port=0)),
        ("https://:8443=auto", Listen("https", port=8443)),
        (":1=file-pipe", Listen(port=1, protocol="file-pipe")),
        ("unix:/x.sock=file-pipe", Listen(kind="unix", path="/x.sock", protocol="file-pipe")),
        ("unix:/run/x.sock", Listen(kind="unix", path="/run/x.sock")),
        ("https://fd:web", Listen("https", "fd", name="web")),
        ("fd:file-pipe", Listen(kind="fd", name="file-pipe", protocol="file-pipe")),
        ("fd:file-pipe=auto", Listen(kind="fd", name="file-pipe", protocol="auto")),
    ],
)  # fmt: skip
def test_addresses_as_people_write_them(text: str, expected: Listen) -> None:
    """The forms that the documentation shows."""
    assert expected == Listen.parse(text)


def test_the_default_protocol_is_for_addresses_without_one() -> None:
    """A protocol in the address beats the default, and so does a descriptor's name."""
    spoken = [Listen.parse(t, "file-pipe").protocol for t in (":1", ":1=auto", "fd:auto", "fd:x")]
    assert spoken == ["file-pipe", "auto", "auto", "file-pipe"]


def test_the_default_scheme_is_for_tcp_addresses_without_one() -> None:
    """Who dials a socket file or holds a descriptor is no stranger on the network."""
    texts = (":1", "https://:1", "http://:1", "unix:/x", "https://unix:/x", "fd:x", "https://fd:x")
    schemes = [Listen.parse(text, tcp_scheme="https").scheme for text in texts]
    assert schemes == ["https", "https", "http", "http", "https", "http", "https"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "not an address"),
        ("a\nb", "not an address"),
        ("8080", "write :8080"),
        ("::1", "brackets"),
        ("::1:3000", "brackets"),
        ("[::1", "brackets"),
        ("[::1]x", "brackets"),
        ("[::g]", "no IPv6 address"),
        ("[]", "no IPv6 address"),
        ("300.1.1.1:1", "IPv4"),
        ("-x-:1", "host name"),
        ("a b:1", "host name"),
        (":65536", "not a port"),
        (":", "not a port"),
        (":-1", "not a port"),
        (":٣", "not a port"),
        (":1=ftp", f"none of {', '.join(PROTOCOLS)}"),
        (":1=", f"none of {', '.join(PROTOCOLS)}"),
        ("unix:", "no socket file"),
        ("unix:/run/", "no socket file"),
        (f"unix:/{'x' * 103}", "more than 103 bytes"),
        ("fd:", "no descriptor"),
        ("fd:a b", "no descriptor"),
    ],
)
def test_what_is_wrong_is_said(text: str, part: str) -> None:
    """Each mistake has its own sentence."""
    with pytest.raises(ValueError, match=part):
        Listen.parse(text)


def test_a_host_name_may_be_long_but_not_longer() -> None:
    """253 characters are the limit of DNS."""
    name = ".".join(["a" * 49] * 5)
    assert name == Listen.parse(name).host
    with pytest.raises(ValueError, match="host name"):
        Listen.parse(f"{name}.aaaa")


def test_the_address_alone_has_no_scheme_and_no_protocol() -> None:
    """`address` is for messages."""
    texts = ["https://[::1]:1", ":2", "unix:/a", "fd:b"]
    assert [Listen.parse(text).address for text in texts] == ["[::1]:1", ":2", "unix:/a", "fd:b"]


def test_ports_end_at_65535() -> None:
    """The lowest and the highest port are ports."""
    assert (parse_port("0"), parse_port("65535")) == (0, 65535)
