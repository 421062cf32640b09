"""The tree of errors."""

import inspect
import re

import pytest

from filepipe import client
from filepipe.client import errors


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.ClientError, 1),
        (errors.BadAddress, 2),
        (errors.SourceChanged, 1),
        (errors.Unreachable, 5),
        (errors.Refused, 1),
        (errors.NotThere, 3),
        (errors.Busy, 1),
        (errors.RangeRefused, 1),
        (errors.Interrupted, 4),
        (errors.Changed, 4),
    ],
)
def test_exit_code(kind: type[errors.ClientError], code: int) -> None:
    """Scripts rely on these numbers, and the picture of the tree shows them."""
    assert kind.exit_code == code
    assert re.search(rf"(?m)\b{kind.__name__} +{code}\b", errors.__doc__ or "")


def test_all_are_exported() -> None:
    """Whoever imports the client can catch each of them."""
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        assert getattr(client, name) is kind
