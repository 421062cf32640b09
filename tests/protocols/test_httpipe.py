"""httpipe's paths, lists and types."""

import pytest

from filepipe.keys import Key
from filepipe.protocols.httpipe import (
    CHANNEL_METHODS,
    LIST_METHODS,
    Place,
    by_namespace,
    delivered_type,
    is_in,
    place_of,
)


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("channels/v1/hello", Place("v1", "hello")),
        ("channels/namespaces/x", Place("namespaces", "x")),
        ("channels/channels/channels", Place("channels", "channels")),
        ("channels/a b/ü?", Place("a b", "ü?")),
        ("channels/v1", Place("v1")),
        ("channels", None),
        ("channels/", None),
        ("channels/v1/", None),
        ("channels/v1/hello/", None),
        ("channels/v1/hello/x", None),
        ("Channels/v1/hello", None),
        ("v1/hello", None),
        ("x/channels/v1", None),
    ],
)
def test_a_key_is_a_place(key: str, place: Place | None) -> None:
    """A channel has two names, a namespace one; anything else is neither."""
    assert place_of(Key(key)) == place


def test_what_can_be_asked() -> None:
    """Only a channel takes messages."""
    assert Place("v1", "hello").methods == CHANNEL_METHODS
    assert Place("v1").methods == LIST_METHODS


def test_a_namespace_is_whole() -> None:
    """One whose name begins with another's is a different one."""
    assert is_in(Key("channels/v1/hello"), "v1")
    assert not is_in(Key("channels/v11/hello"), "v1")


def test_names_by_namespace() -> None:
    """In order, whoever came first."""
    keys = ["channels/b/2", "channels/a/x", "channels/b/1"]
    assert by_namespace(map(Key, keys)) == {"a": ["x"], "b": ["1", "2"]}
    assert by_namespace([]) == {}


@pytest.mark.parametrize(
    ("said", "delivered"),
    [
        (None, "application/octet-stream"),
        ("application/x-www-form-urlencoded", "application/octet-stream"),
        (
            "application/x-www-form-urlencoded; charset=utf-8",
            "application/x-www-form-urlencoded; charset=utf-8",
        ),
        ("text/html", "text/html"),
        ("multipart/form-data; boundary=b", "multipart/form-data; boundary=b"),
    ],
)
def test_a_type_is_delivered(said: str | None, delivered: str) -> None:
    """The one that curl makes up for --data tells nothing."""
    assert delivered_type(said) == delivered
