"""Fields in several lines are one list."""

import pytest
from multidict import CIMultiDict

from filepipe.web.fields import joined, tells_of_proxy


def test_joined() -> None:
    """Lines are joined in their order, whatever the case of their name."""
    headers = CIMultiDict([("Prefer", "a"), ("X", "y"), ("prefer", "b, c"), ("PREFER", "")])
    assert joined(headers, "Prefer") == "a, b, c, "
    assert joined(headers, "x") == "y"


def test_joined_without_a_line() -> None:
    """A field that is not there is None, which an empty one is not."""
    assert joined(CIMultiDict(), "Prefer") is None
    assert joined(CIMultiDict(Prefer=""), "Prefer") == ""


@pytest.mark.parametrize(
    "name", ["via", "Forwarded", "X-Real-Ip", "X-FORWARDED-For", "x-forwarded-any"]
)
def test_a_proxy_shows_itself(name: str) -> None:
    """By what it adds, whatever it says there."""
    assert tells_of_proxy(CIMultiDict({"Host": "a", name: ""}))


def test_a_client_that_comes_itself() -> None:
    """Its own fields do not look like a proxy's."""
    assert not tells_of_proxy(CIMultiDict({"Host": "a", "Forward": "b", "X-Forward-Url": "c"}))
