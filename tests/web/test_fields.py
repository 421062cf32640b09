"""Fields in several lines are one list."""

from multidict import CIMultiDict

from filepipe.web.fields import joined


def test_joined() -> None:
    """Lines are joined in their order, whatever the case of their name."""
    headers = CIMultiDict([("Prefer", "a"), ("X", "y"), ("prefer", "b, c"), ("PREFER", "")])
    assert joined(headers, "Prefer") == "a, b, c, "
    assert joined(headers, "x") == "y"


def test_joined_without_a_line() -> None:
    """A field that is not there is None, which an empty one is not."""
    assert joined(CIMultiDict(), "Prefer") is None
    assert joined(CIMultiDict(Prefer=""), "Prefer") == ""
