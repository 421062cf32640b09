"""Digests: of one body, of the whole, and on request."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.scenarios.peers import body_of
from tests.scenarios.resumable.peer import Client, fresh_key, get


def field(body: bytes, algorithm: str = "sha-256") -> str:
    """The value of a digest's field."""
    raw = hashlib.new(algorithm.replace("-", ""), body).digest()
    return f"{algorithm}=:{base64.b64encode(raw).decode()}:"


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
def test_of_one_body(client: Client, algorithm: str) -> None:
    """What is as stated is kept."""
    path, body = fresh_key(), body_of(600_000)
    made = client.begin(body[:500], path, Content_Digest=field(body[:500], algorithm))
    kept = client.append(
        made.location, 500, body[500:90_000], Content_Digest=field(body[500:90_000], algorithm)
    )
    assert (kept.status, kept.offset) == (204, 90_000)
    done = client.append(
        made.location, 90_000, body[90_000:], complete=True,
        Content_Digest=field(body[90_000:], algorithm),
    )  # fmt: skip
    assert done.status == 200
    assert get(client.daemon, path).body == body


@pytest.mark.parametrize("complete", [True, False])
def test_a_body_that_is_something_else(client: Client, complete: bool) -> None:
    """Nothing of it is kept, nobody reads any of it, and it can be sent again."""
    path, fine, evil = fresh_key(), b"fine" * 200_000, b"evil" * 200_000
    made = client.begin(b"good", path)
    stated = {"Content_Digest": field(fine)}
    refused = client.append(made.location, 4, evil, complete=complete, **stated)
    refused.problem(400)
    assert refused["Upload-Complete"] == "?0"
    assert refused.offset == 4
    assert client.state(made.location) == (4, False)
    assert client.append(made.location, 4, fine, complete=True, **stated).status == 200
    assert get(client.daemon, path).body == b"good" + fine


def test_a_beginning_that_is_something_else(client: Client) -> None:
    """There is no upload then."""
    path = fresh_key()
    for complete in (True, False):
        fields = client.fields(complete, Content_Digest=field(b"good"))
        refused = client.ask("PUT", path, fields, b"evil")
        refused.problem(400)
        assert refused["Upload-Complete"] == "?1"
        assert client.ask("HEAD", path, {}).status == 404


def test_a_stated_body_that_is_cut(client: Client) -> None:
    """Nobody can tell whether it is good so far."""
    made = client.begin(b"good")
    said = client.fields(True, 4, Content_Digest=field(b"12345678"))
    said |= {"Content-Length": "8", "Content-Type": "application/partial-upload"}
    client.open("PATCH", made.location, said, b"1234").end()
    assert client.state(made.location) == (4, False)
    assert client.append(made.location, 4, b"!", complete=True).status == 200


def test_digests_of_others(client: Client) -> None:
    """What is not known is not checked."""
    made = client.begin(b"x", Content_Digest="md5=:AAAA:")
    assert client.append(made.location, 1, b"y", Content_Digest="id-sha=:AA==:").status == 204


def test_of_the_whole(client: Client) -> None:
    """It is stated at the beginning, and checked at the end."""
    path, body = fresh_key(), body_of(300_000)
    stated = f"{field(body)}, {field(body, 'sha-512')}"
    made = client.begin(body[:9], path, Repr_Digest=stated)
    assert client.append(made.location, 9, body[9:], complete=True).status == 200
    assert get(client.daemon, path).body == body


def test_a_whole_that_is_something_else(client: Client) -> None:
    """All of it arrived, nothing of it is kept."""
    path = fresh_key()
    made = client.begin(b"12", path, Repr_Digest=field(b"good"))
    refused = client.append(made.location, 2, b"34", complete=True)
    refused.problem(422)
    assert refused["Upload-Complete"] == "?1"
    assert client.look(made.location).status in (404, 410)
    assert client.ask("HEAD", path, {}).status == 404
    fields = client.fields(complete=True, Repr_Digest=field(b"good"))
    refused = client.ask("PUT", path, fields, b"evil")
    refused.problem(422)
    assert refused["Upload-Complete"] == "?1"
    assert client.ask("PUT", path, fields, b"good").status == 200


def test_on_request(client: Client) -> None:
    """The last answer has it, each time."""
    made = client.begin(b"12", Want_Repr_Digest="sha-512=1")
    done = client.append(made.location, 2, b"34", complete=True)
    again = client.append(made.location, 4, b"", complete=True)
    assert done["Repr-Digest"] == again["Repr-Digest"] == field(b"1234", "sha-512")
    fields = client.fields(complete=True, Want_Repr_Digest="sha-256=1")
    assert client.ask("PUT", fresh_key(), fields, b"x")["Repr-Digest"] == field(b"x")
