"""Bodies: what a request says of its body before a byte of it is read."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from aiohttp import web
from aiohttp.http import HttpVersion, HttpVersion10, HttpVersion11
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from filepipe.channels.channel import Metadata
from filepipe.errors import BadRequest, ExpectationFailed
from filepipe.web import bodies
from filepipe.web.bodies import MAX_LABELS
from filepipe.web.pumps import Pumps
from filepipe.web.stall import Watch

FORM = "multipart/form-data; boundary=b"


def ask(
    *fields: tuple[str, str], version: HttpVersion = HttpVersion11, body: bytes | None = None
) -> web.BaseRequest:
    """A POST with these header fields; its whole body is there already."""
    options: dict[str, Any] = {}
    if body is not None:
        payload = StreamReader(mock.Mock(), 65536)
        payload.feed_data(body)
        payload.feed_eof()
        options["payload"] = payload
    headers = CIMultiDict(fields)
    return make_mocked_request("POST", "/key", headers, version=version, **options)


@pytest.fixture
def pumps() -> Pumps:
    """As far as bodies know them."""
    pumps = mock.Mock(spec=Pumps)
    pumps.watch_sender = lambda: Watch(10.0, "sent")
    return pumps


@pytest.mark.parametrize(
    ("field", "length"),
    [(("Content-Length", "7"), 7), (("Content-Length", "0"), 0),
     (("Transfer-Encoding", "chunked"), None), (("X-Other", "1"), 0)],
)  # fmt: skip
def test_the_length(field, length):
    """No framing at all is no body; in chunks it is unknown."""
    assert bodies.length_of(ask(field)) == length
    assert bodies.metadata_of(ask(field)).length == length


def test_what_is_said_of_a_body():
    """Everything that is well formed is kept."""
    request = ask(
        ("Content-Length", "5"), ("Content-Type", " text/plain; charset=utf-8 "),
        ("Content-Encoding", "gzip"), ("Content-Encoding", "br"),
        ("Content-Disposition", 'attachment; filename="../a b.txt"'),
        ("X-Piping", "one"), ("x-piping", "two, three"),
    )  # fmt: skip
    assert bodies.metadata_of(request) == Metadata(
        length=5,
        content_type="text/plain; charset=utf-8",
        content_encoding="gzip, br",
        filename="a b.txt",
        disposition='attachment; filename="../a b.txt"',
        labels=("one", "two, three"),
    )


def test_what_is_not_well_formed_is_left_out():
    """No header of ours ever has what a header cannot have."""
    request = ask(
        ("Content-Type", "no type"), ("Content-Encoding", "a b"), ("Content-Disposition", "\x7f"),
    )  # fmt: skip
    assert bodies.metadata_of(request) == Metadata(length=0)


def test_labels():
    """X-Piping may be repeated, within reason, and holds what can be shown."""
    fields = [("X-Piping", str(n)) for n in range(MAX_LABELS)]
    assert bodies.metadata_of(ask(*fields)).labels == tuple(map(str, range(MAX_LABELS)))
    with pytest.raises(BadRequest, match="more than 16 times"):
        bodies.metadata_of(ask(*fields, ("X-Piping", "x")))
    for label in ("a\tb", "a\x7f", "\u202e"):
        with pytest.raises(BadRequest, match="cannot be handed on"):
            bodies.metadata_of(ask(("X-Piping", label)))


@pytest.mark.parametrize("value", ["100-continue", " 100-Continue "])
def test_an_expectation_that_is_met(value):
    """Whatever its case."""
    bodies.check_expectation(ask(("Expect", value)))
    bodies.check_expectation(ask())


@pytest.mark.parametrize("value", ["", "200-ok", "100-continue, x"])
def test_another_expectation(value):
    """It is refused."""
    with pytest.raises(ExpectationFailed):
        bodies.check_expectation(ask(("Expect", value)))


@pytest.mark.parametrize(
    ("version", "fields", "invited"),
    [(HttpVersion11, [("Expect", "100-continue")], True), (HttpVersion11, [], False),
     (HttpVersion10, [("Expect", "100-continue")], False)],
)  # fmt: skip
async def test_who_is_invited(version, fields, invited):
    """Who waits for that, and can: HTTP/1.0 knows no interim answers."""
    request = ask(*fields, version=version)
    with mock.patch.object(request.writer, "write", mock.AsyncMock()) as write:
        await bodies.invite(request)
    assert write.await_args_list == ([mock.call(b"HTTP/1.1 100 Continue\r\n\r\n")] * invited)


@pytest.mark.parametrize(
    ("content_type", "form"),
    [(FORM, True), ("Multipart/Form-Data; boundary=b", True),
     ("multipart/mixed; boundary=b", False), ("text/plain", False)],
)  # fmt: skip
def test_what_is_a_form(content_type, form):
    """By its type, in any case."""
    assert bodies.is_form(ask(("Content-Type", content_type))) is form


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; x=b",
     "multipart/form-data; boundary=a; boundary=b", 'multipart/form-data; boundary="a b "'],
)  # fmt: skip
def test_a_form_without_a_boundary(content_type):
    """Nobody could find its parts."""
    with pytest.raises(BadRequest, match="boundary"):
        bodies.is_form(ask(("Content-Type", content_type)))


async def body_of(parcel) -> bytes:
    """Everything that is in a parcel."""
    return b"".join([chunk async for chunk in parcel.chunks])


async def test_a_whole_body(pumps):
    """It is the request's own, whatever part of it might be meant."""
    for bring in (bodies.whole_body, bodies.meant_part, bodies.verbatim_part):
        request = ask(("Content-Length", "5"), ("Content-Type", "a/b"), body=b"hello")
        parcel = await bring(request, pumps)
        assert parcel.whole
        assert parcel.meta == Metadata(length=5, content_type="a/b")
        assert await body_of(parcel) == b"hello"


async def test_the_part_of_a_form(pumps):
    """The one that is meant, or the first as it came; the labels are the form's."""
    form = (
        b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nfield\r\n'
        b'--b\r\nContent-Disposition: form-data; name="g"; filename="x.png"\r\n'
        b"Content-Type: image/png\r\n\r\nfile\r\n--b--\r\n"
    )
    fields = (("Content-Type", FORM), ("Content-Length", str(len(form))), ("X-Piping", "one"))
    parcel = await bodies.meant_part(ask(*fields, body=form), pumps)
    assert not parcel.whole
    assert parcel.meta == Metadata(content_type="image/png", filename="x.png", labels=("one",))
    assert await body_of(parcel) == b"file"
    parcel = await bodies.verbatim_part(ask(*fields, body=form), pumps)
    assert parcel.meta == Metadata(disposition='form-data; name="f"', labels=("one",))
    assert await body_of(parcel) == b"field"
    parcel = await bodies.whole_body(ask(*fields, body=form), pumps)
    assert await body_of(parcel) == form
