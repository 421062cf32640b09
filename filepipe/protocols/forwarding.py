"""Where X-Forward-Url and webhook_url may point: the operator's lists, asked twice.

Rule 1: `check_url` looks at the text, before anything is sent.
Rule 2: `allows_address` looks at the address of the actual connect. A name can resolve to
        anything, and to something else the next time, so only this one protects.
Rule 3: a URL that two parsers might read differently is refused.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from filepipe.errors import BadRequest, ConfigError, Forbidden

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# A name whose last label is a number is an address in disguise (127.1, 0x7f000001), or a typing
# error in one; a label over 63 characters cannot be asked for.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?!(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\Z)(?:{_LABEL}\.)*{_LABEL}")
_VISIBLE = re.compile(r"[!-\[\]-~]+")
_URL = re.compile(
    r"https?://(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?(?:[/?].*)?",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"https?://[^/?#]*@", re.IGNORECASE)
_MAX_PORT: Final = 65535
_MAX_NAME: Final = 253


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a URL is for, in the words of refusals."""

    setting: str
    field: str
    deed: str


FORWARDING: Final = Purpose("forward_allow", "X-Forward-Url", "forwarding")
WEBHOOKS: Final = Purpose("webhook_allow", "webhook_url", "sending webhooks")


@dataclass(frozen=True, slots=True)
class ForwardRules:
    """The targets that the operator allows; none by default."""

    everything: bool = False
    names: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    purpose: Purpose = FORWARDING

    @classmethod
    def parse(cls, entries: Sequence[str], purpose: Purpose = FORWARDING) -> ForwardRules:
        """Read `*`, host names, `*.example.com`, addresses and CIDRs; raises `ConfigError`."""
        names: set[str] = set()
        suffixes: list[str] = []
        networks: list[Network] = []
        for entry in (entry.strip().lower() for entry in entries):
            if network := _network(entry):
                networks.append(network)
            elif _is_name(entry.removeprefix("*.")):
                if entry.startswith("*."):
                    suffixes.append(entry[1:])
                else:
                    names.add(entry)
            elif entry != "*":
                raise ConfigError(
                    f"{purpose.setting}: {entry!r} is not a host name, *.host name, address, "
                    "CIDR or *"
                )
        everything = any(entry.strip() == "*" for entry in entries)
        return cls(everything, frozenset(names), tuple(suffixes), tuple(networks), purpose)

    @property
    def enabled(self) -> bool:
        """Whether anything is allowed at all."""
        return self.everything or bool(self.names or self.suffixes or self.networks)

    def check_url(self, url: str) -> None:
        """Raise `BadRequest` for a URL that cannot be used, `Forbidden` if it can never connect."""
        if not self.enabled:
            raise Forbidden(f"{self.purpose.deed} is not allowed here")
        host = _host_of(url, self.purpose.field)
        address = _address(host)
        allowed = self._may_resolve(host) if address is None else self._contains(address)
        if not (self.everything or allowed):
            raise Forbidden(f"{self.purpose.deed} to this host is not allowed")

    def allows_address(self, host: str, address: str) -> bool:
        """Whether a connect to `address` on behalf of `host` is allowed."""
        if self.everything or self._lists(host):
            return True
        parsed = _address(address)
        return parsed is not None and self._contains(parsed)

    def _lists(self, host: str) -> bool:
        name = _canonical(host)
        return name in self.names or name.endswith(self.suffixes)

    def _may_resolve(self, host: str) -> bool:
        return bool(self.networks) or self._lists(host)

    def _contains(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def _host_of(url: str, field: str) -> str:
    """Return the host of a usable URL, brackets taken off; no text repeats the URL."""
    if not _VISIBLE.fullmatch(url):
        raise BadRequest(f"{field} has a character that must be percent-encoded")
    if _CREDENTIALS.match(url):
        raise BadRequest(f"{field} must not have credentials in it")
    if "#" in url:
        raise BadRequest(f"{field} must not have a fragment")
    found = _URL.fullmatch(url)
    if found is None:
        raise BadRequest(f"{field} is not an http or https URL with a host")
    if found["port"] is not None and not 0 < int(found["port"]) <= _MAX_PORT:
        raise BadRequest(f"{field} has a port that does not exist")
    if not (_is_ipv6(found["literal"]) if found["literal"] else _is_host(found["name"])):
        raise BadRequest(f"{field} has a malformed host")
    return found["literal"] or found["name"]


def _is_ipv6(text: str) -> bool:
    return ":" in text and _address(text) is not None


def _is_host(text: str) -> bool:
    return _is_name(_canonical(text)) or _address(text) is not None


def _canonical(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_name(text: str) -> bool:
    return len(text) <= _MAX_NAME and _NAME.fullmatch(text) is not None


def _network(text: str) -> Network | None:
    if "%" in text:  # a zone would be ignored, and more would be allowed than is written
        return None
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return None
    # Addresses are compared unwrapped, so a wrapped network has to be unwrapped as well.
    wrapped = getattr(network.network_address, "ipv4_mapped", None)
    if wrapped is None or network.prefixlen < 96:
        return network
    return ipaddress.IPv4Network((wrapped, network.prefixlen - 96))


def _address(text: str) -> Address | None:
    """Read an address: without its zone, and as IPv4 where IPv6 only wraps it."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
