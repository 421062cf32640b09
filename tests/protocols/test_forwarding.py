"""Forwarding: only where the operator allows it, by text and by address."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from filepipe.errors import BadRequest, ConfigError, Forbidden, Refused
from filepipe.protocols.forwarding import WEBHOOKS, ForwardRules

RULES = ForwardRules.parse(
    ["Example.com", "*.s3.test", "10.0.0.0/8", "192.0.2.7", "fd00::/8", "fe80::/10"]
)
NAMES_ONLY = ForwardRules.parse(["example.com"])
EVERYTHING = ForwardRules.parse(["*"])
HOOKS = ForwardRules.parse(["*"], WEBHOOKS)
PIECES = [
    "example.com",
    "EXAMPLE.com",
    "evil.test",
    "@",
    ":80",
    ":",
    "/",
    "//",
    "#",
    "?",
    "\\",
    ".",
]
URLS = st.lists(
    st.one_of(st.sampled_from([*PIECES, "%40", "[", "]", "127.0.0.1"]), st.characters()), max_size=5
).map(lambda pieces: "http://" + "".join(pieces))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://EXAMPLE.com./a?X-Amz-Signature=1",
        "http://example.com:8443/",
        "http://a.s3.test/b",
        "http://a.b.s3.test",
        "http://10.1.2.3:9000/x",
        "http://192.0.2.7",
        "http://[fd00::1]:80/",
        "http://[::ffff:10.0.0.1]/",
        "http://may-resolve.test/",
    ],
)
def test_allowed_url(url: str) -> None:
    """Listed names, listed addresses, and names that may turn out to have one."""
    RULES.check_url(url)


@pytest.mark.parametrize(
    "url", ["http://11.0.0.1/", "http://127.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/"]
)
def test_literal_outside_every_network_forbidden(url: str) -> None:
    """A literal address that is not listed can never connect and is refused at once."""
    with pytest.raises(Forbidden, match=r"^forwarding to this host is not allowed$"):
        RULES.check_url(url)


@pytest.mark.parametrize(
    "url", ["http://evil.test/?token=s3cret", "http://example.com.evil.test", "http://10.0.0.1"]
)
def test_unlisted_name_forbidden_when_only_names_are_listed(url: str) -> None:
    """Without any network a name that is not listed cannot be allowed later either."""
    with pytest.raises(Forbidden) as refusal:
        NAMES_ONLY.check_url(url)
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com",
        "ftp://example.com",
        "http://",
        "http:///x",
        "http://?x",
        "http://user@example.com",
        "http://u:p@example.com/x",
        "http://example.com/#f",
        "http://example.com:0",
        "http://example.com:65536",
        "http://example.com:/",
        "http://h:x",
        "http://example.com/a b",
        "http://example.com\\@evil.test",
        "http://éxample.com",
        "http://example.com/\r\nX: y",
        "http://a..b",
        "http://-a.b",
        "http://" + "a" * 64,
        "http://" + "a." * 127 + "aa",
        "http://127.1",
        "http://2130706433",
        "http://0x7f000001",
        "http://1.2.3.256",
        "http://[1.2.3.4]",
        "http://[::1",
        "http://[:::]",
        "http://[fe80::1%25l]",
    ],
)
def test_unusable_url_refused(url: str) -> None:
    """Whatever is no plain http URL is refused, also where everything is allowed."""
    for rules in (RULES, EVERYTHING):
        with pytest.raises(BadRequest, match=r"^X-Forward-Url "):
            rules.check_url(url)
    with pytest.raises(BadRequest, match=r"^webhook_url "):
        HOOKS.check_url(url)


def test_credentials_are_named_and_not_repeated() -> None:
    """The sentence tells what is wrong without the secret."""
    with pytest.raises(BadRequest, match=r"^X-Forward-Url must not have credentials in it$"):
        EVERYTHING.check_url("http://user:s3cret@example.com/")


def test_nothing_allowed_by_default() -> None:
    """Without entries every URL is forbidden, good or bad."""
    rules = ForwardRules.parse([])
    assert not rules.enabled
    for url in ("http://example.com", "nonsense"):
        with pytest.raises(Forbidden, match=r"^forwarding is not allowed here$"):
            rules.check_url(url)
    assert not rules.allows_address("example.com", "10.0.0.1")
    with pytest.raises(Forbidden, match=r"^sending webhooks is not allowed here$"):
        ForwardRules.parse([], WEBHOOKS).check_url("http://example.com")


@pytest.mark.parametrize("entry", ["*", "example.com", "*.example.com", "::1", "10.0.0.0/8"])
def test_any_entry_enables(entry: str) -> None:
    """One entry of any kind turns forwarding on."""
    assert ForwardRules.parse([f" {entry} "]).enabled


@pytest.mark.parametrize(
    ("host", "address", "allowed"),
    [
        ("example.com", "127.0.0.1", True),
        ("EXAMPLE.COM.", "::1", True),
        ("a.s3.test", "127.0.0.1", True),
        ("s3.test", "127.0.0.1", False),
        ("xs3.test", "127.0.0.1", False),
        ("other.test", "10.9.9.9", True),
        ("other.test", "192.0.2.7", True),
        ("other.test", "192.0.2.8", False),
        ("other.test", "::ffff:10.0.0.1", True),
        ("other.test", "::ffff:127.0.0.1", False),
        ("other.test", "fe80::1%eth0", True),
        ("other.test", "127.0.0.1", False),
        ("other.test", "", False),
        ("other.test", "nonsense", False),
        ("10.0.0.1", "10.0.0.1", True),
    ],
)
def test_address_of_the_connect(host: str, address: str, allowed: bool) -> None:
    """A listed name may resolve to anything; any other host needs a listed address."""
    assert allowed == RULES.allows_address(host, address)


def test_everything_allows_everything() -> None:
    """The star asks no more questions."""
    EVERYTHING.check_url("http://anything.test/x")
    EVERYTHING.check_url("http://127.0.0.1/x")
    assert EVERYTHING.allows_address("anything.test", "127.0.0.1")


def test_all_of_ipv6_is_not_all_of_ipv4() -> None:
    """An IPv4 address in IPv6 clothes needs an IPv4 network."""
    assert not ForwardRules.parse(["::/0"]).allows_address("h.test", "::ffff:127.0.0.1")
    wrapped = ForwardRules.parse(["::ffff:10.0.0.0/104"])
    assert wrapped.allows_address("h.test", "10.1.1.1")
    assert not wrapped.allows_address("h.test", "11.1.1.1")


@pytest.mark.parametrize(
    "entry",
    [
        "",
        " ",
        "**",
        "*.",
        "*.*.x",
        "a*",
        "10.0.0.1/8",
        "10.0.0",
        "1.2.3.4.5",
        "10.0.0.0/33",
        "http://a",
        "a:80",
        "a/b",
        "[::1]",
        "fe80::1%eth0",
        "ü.de",
        "a b",
        "-a",
        "a.",
        "*.10",
        "a" * 64,
        "a,b",
        "0x7f",
    ],
)
def test_bad_entry_is_named(entry: str) -> None:
    """An entry that means nothing stops the start and says which it is."""
    with pytest.raises(ConfigError, match=r"^forward_allow: '"):
        ForwardRules.parse(["example.com", entry])
    with pytest.raises(ConfigError, match=r"^webhook_allow: '"):
        ForwardRules.parse([entry], WEBHOOKS)


@given(URLS)
def test_checked_url_means_the_same_to_the_client(url: str) -> None:
    """What passes has, for the library that connects, the host that was checked."""
    try:
        NAMES_ONLY.check_url(url)
    except Refused:
        return
    assert (URL(url, encoded=True).raw_host or "").lower().removesuffix(".") == "example.com"


@given(st.ip_addresses())
def test_networks_decide_over_literals(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """For a literal the text check and the connect check agree."""
    text = str(address)
    url = f"http://{text if address.version == 4 else f'[{text}]'}/"
    allowed = RULES.allows_address(text, text)
    try:
        RULES.check_url(url)
    except Forbidden:
        assert not allowed
    else:
        assert allowed
