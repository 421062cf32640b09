"""A key that is written in pieces: who reads it waits, and gets every byte once, in order."""

from __future__ import annotations

import hashlib

import pytest

from tests.conftest import eventually
from tests.scenarios.peers import MIB, body_of
from tests.scenarios.resumable.peer import PARTIAL, Client, Line, fresh_key, get


def reading(client: Client, path: str, *fields: str) -> Line:
    """A reader that is there; its head is still to come."""
    return client.open("GET", path, dict(field.split(": ", 1) for field in fields))


@pytest.mark.parametrize("announced", [True, False])
def test_over_cuts(client: Client, announced: bool) -> None:
    """Readers who were there from the beginning see nothing of the cuts."""
    path, body = fresh_key(), body_of(5 * MIB)
    length = {"Upload_Length": len(body)} if announced else {}
    made = client.begin(b"", path, **length)
    with reading(client, path) as whole, reading(client, path, f"Range: bytes={MIB}-") as rest:
        offset = 0
        for stop in (MIB, MIB + 1, 3 * MIB, 4 * MIB):
            said = client.fields(True, offset, Content_Type=PARTIAL)
            framing = {"Content-Length": str(len(body) - offset)}
            line = client.open("PATCH", made.location, {**framing, **said}, body[offset:stop])
            eventually(lambda stop=stop: client.ask("HEAD", path, {})["Upload-Offset"] == str(stop))
            line.reset()
            offset, complete = client.state(made.location)
            assert (offset, complete) == (stop, False)
        assert client.append(made.location, offset, body[offset:], complete=True).status == 200
        first, second = whole.reply(), rest.reply()
    assert (first.status, second.status) == (200, 206)
    assert (first["Transfer-Encoding"] is None) is announced
    assert hashlib.sha256(first.body).digest() == hashlib.sha256(body).digest()
    assert hashlib.sha256(second.body).digest() == hashlib.sha256(body[MIB:]).digest()
    assert get(client.daemon, path).body == body


def test_who_comes_first(client: Client) -> None:
    """A reader that waits for a writer gets the upload."""
    path = fresh_key()
    with reading(client, f"{path}?wait=20", "Connection: close") as reader:
        eventually(lambda: client.daemon.state()["waiting_readers"] > 0)
        made = client.begin(b"be", path, Upload_Length=6)
        assert client.append(made.location, 2, b"gins", complete=True).status == 200
        assert reader.reply().body == b"begins"


def test_at_once(client: Client) -> None:
    """Bytes are read before their upload is acknowledged."""
    path = fresh_key()
    made = client.begin(b"", path, Upload_Length=10)
    said = client.fields(True, 0, Content_Type=PARTIAL)
    with client.open("PATCH", made.location, {"Content-Length": "10", **said}, b"12345") as line:
        found = get(client.daemon, path, "Range: bytes=0-4")
        assert (found.status, found.body) == (206, b"12345")
        line.send(b"67890")
        assert line.reply().status == 200


def test_the_end_of_one_that_is_given_up(client: Client) -> None:
    """No reader takes a part for the whole."""
    path = fresh_key()
    made = client.begin(b"12345", path, Upload_Length=10)
    with reading(client, path) as reader:
        status, headers = reader.head()
        assert (status, headers["Content-Length"]) == (200, "10")
        assert client.ask("DELETE", made.location, client.fields()).status == 204
        assert len(reader.rest()) < 10


def test_what_a_key_says(client: Client) -> None:
    """HEAD, and the same ETag from the first byte to the last answer."""
    path = fresh_key()
    made = client.begin(b"12345", path, Upload_Length=10, Content_Type="text/plain")
    found = client.ask("HEAD", path, {})
    assert (found.status, found["Upload-Offset"], found["Content-Length"]) == (200, "5", "10")
    assert found["Content-Type"] == "text/plain"
    done = client.append(made.location, 5, b"67890", complete=True)
    after = client.ask("HEAD", path, {})
    assert found["ETag"] == after["ETag"] == done["ETag"]
    assert "Upload-Offset" not in after.headers
    assert get(client.daemon, path, f"If-None-Match: {after['ETag']}").status == 304
    assert get(client.daemon, path, "Range: bytes=-3").body == b"890"


def test_it_is_kept(client: Client) -> None:
    """It has no retention of seconds: a second and a third reader get it."""
    path = fresh_key()
    assert client.ask("PUT", path, client.fields(complete=True), b"kept").status == 200
    for _ in range(3):
        assert get(client.daemon, path).body == b"kept"
