"""The settings of where uploads are kept."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from filepipe.config import Settings


def test_a_backend_is_one_of_those_there_are() -> None:
    """In whichever case; each of several is looked at."""
    given: dict[str, Any] = {"storage_backend": "S3", "allowed_backends": ["local, s3"]}
    settings = Settings(**given)
    assert (settings.storage_backend, settings.allowed_backends) == ("s3", ("local", "s3"))
    for wrong in ({"storage_backend": "ftp"}, {"allowed_backends": "local,ftp"}):
        with pytest.raises(ValidationError, match="'ftp' is none of local, s3, smb"):
            Settings(**wrong)


def test_an_account_is_not_shown() -> None:
    """Neither its name nor its secret; either may be short."""
    given: dict[str, Any] = {
        "aws_access_key_id": "someone", "aws_secret_access_key": "short", "smb_pass": "brief",
    }  # fmt: skip
    settings = Settings(**given)
    assert "someone" not in repr(settings)
    assert "short" not in repr(settings)
    assert "brief" not in repr(settings)
