"""Bodies: what a request says of its body before a byte of it is read."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from filepipe.errors import BadRequest
from filepipe.web.bodies import MAX_LABELS, metadata_of


def test_labels_are_bounded():
    """X-Piping may be repeated, within reason."""
    headers = [("X-Piping", str(n)) for n in range(MAX_LABELS + 1)]
    with pytest.raises(BadRequest, match="X-Piping"):
        metadata_of(make_mocked_request("POST", "/key", headers))  # type: ignore[arg-type]
