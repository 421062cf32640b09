"""The way out: an address that is not allowed gets no socket."""

from __future__ import annotations

import socket

import pytest

from filepipe.gate import Gate
from filepipe.protocols.forwarding import ForwardRules


def address(text: str) -> tuple[object, ...]:
    """What getaddrinfo says of an address."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return (family, socket.SOCK_STREAM, 0, "", (text, 80))


def test_only_an_allowed_address_gets_a_socket() -> None:
    """Whatever the name is; also an address in the clothes of the other family."""
    gate = Gate(ForwardRules.parse(["10.0.0.0/8", "listed.test"]))
    gate.host = "other.test"
    for text in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "0.0.0.0"):
        with pytest.raises(OSError, match="not allowed"):
            gate.socket(address(text))
    assert gate.shut
    gate.socket(address("10.1.2.3")).close()
    assert not gate.shut
    gate.host = "listed.test"
    gate.socket(address("127.0.0.1")).close()


def test_a_gate_that_nobody_tried_is_not_shut() -> None:
    """The name may not have resolved at all."""
    assert not Gate(ForwardRules.parse([])).shut
