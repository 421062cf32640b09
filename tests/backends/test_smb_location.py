"""Where a share is, as text."""

from __future__ import annotations

import pytest

from filepipe.errors import ConfigError
from filepipe_backends.smb_link import Account
from filepipe_backends.smb_location import Location, parse


def test_a_location() -> None:
    """All of it is percent-encoded, as in a URL."""
    assert parse("nas:4450/a%20share/p%C3%A4th/b?user=D%5Cu&password=%26%3D+%3F") == Location(
        Account("nas", 4450, "a share", "D\\u", "&= ?", encrypted=True), ("päth", "b")
    )
    found = parse("[::1]/s?user=u&password=p&security=signed")
    assert found == Location(Account("::1", 445, "s", "u", "p", encrypted=False), ())


@pytest.mark.parametrize(
    "text",
    [
        "", "nas", "nas/", ":445/share?user=u", "nas:445/share", "nas:high/share?user=u",
        "nas:445/share?user=u&security=none", "nas:445/share?user=u&sign=1",
        "nas:445/share/../x?user=u", "nas:445/share/nul?user=u", "[nas/share?user=u",
    ],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    """It is said before serving, and the text, which may hold a password, is not repeated."""
    with pytest.raises(ConfigError, match="uploads by SMB") as raised:
        parse(text and f"{text}&password=s3cret" if "?" in text else text)
    assert "s3cret" not in str(raised.value)


def test_a_password_is_not_shown() -> None:
    """Neither is it where an account is printed."""
    assert "s3cret" not in repr(parse("nas/share?user=u&password=s3cret"))
