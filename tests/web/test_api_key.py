"""The API key: where it may stand, and what is none."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from filepipe.errors import Unauthorized
from filepipe.web.api_key import PRINCIPAL, admit, given_key


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"X-API-Key": "k"}, "k"),
        ({"X-API-Key": ""}, ""),
        ({"Authorization": "Bearer k"}, "k"),
        ({"Authorization": "bearer  k "}, "k"),
        ({"Authorization": "Bearer"}, ""),
        ({"Authorization": "Basic k"}, None),
        ({"X-API-Key": "k", "Authorization": "Bearer other"}, "k"),
    ],
)
def test_the_key_is_found(headers: dict[str, str], expected: str | None) -> None:
    """In either field; our own one counts where both are there."""
    assert given_key(make_mocked_request("GET", "/", headers)) == expected


def test_the_key_is_good() -> None:
    """It stands for somebody."""
    assert admit("secret", b"secret") == PRINCIPAL


@pytest.mark.parametrize("given", [None, "", "secre", "secret ", "SECRET", "\udcff"])
def test_what_is_not_the_key_is_refused(given: str | None) -> None:
    """Also what is no text at all."""
    with pytest.raises(Unauthorized, match="API key"):
        admit(given, b"secret")
