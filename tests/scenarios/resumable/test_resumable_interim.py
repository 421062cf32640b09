"""Status 104: where to go on, told before the answer, and only where it breaks nothing."""

from __future__ import annotations

import pytest

from tests.conftest import curl, eventually
from tests.scenarios.peers import MIB, body_of
from tests.scenarios.resumable.peer import PARTIAL, Client, fresh_key, get


def test_it_comes_before_the_answer(each: Client) -> None:
    """To whoever names a version of ours, which is repeated."""
    made = each.begin(b"x")
    if each.version is None:
        assert made.interim == ()
        return
    [(status, headers)] = made.interim
    assert (status, headers["Location"]) == (104, made.location)
    assert headers["Upload-Draft-Interop-Version"] == str(each.version)
    assert headers["Upload-Limit"]
    assert "Upload-Offset" not in headers


@pytest.mark.parametrize("version", ["2", "10", "x"])
def test_another_version(client: Client, version: str) -> None:
    """Nobody is told in a version that he does not speak."""
    fields = {"Upload-Complete": "?0", "Upload-Draft-Interop-Version": version}
    made = client.ask("PUT", fresh_key(), fields, b"x")
    assert (made.status, made.interim) == (201, ())


@pytest.mark.parametrize(
    "field",
    ["Via: 1.1 a", "Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.1", "X-Real-IP: 192.0.2.1",
     "X-Forwarded-Proto: https"],
)  # fmt: skip
def test_not_through_a_proxy(client: Client, narrow: Client, field: str) -> None:
    """What nginx and others add turns it off, unless the setting says always."""
    name, _, value = field.partition(": ")
    for one, count in ((client, 0), (narrow, 1)):
        made = one.ask("PUT", fresh_key(), one.fields(complete=False) | {name: value}, b"x")
        assert (made.status, len(made.interim)) == (201, count)


def test_not_over_the_old_protocol(client: Client) -> None:
    """HTTP/1.0 has no interim answers."""
    head = f"PUT {fresh_key()} HTTP/1.0\r\nUpload-Complete: ?0\r\nContent-Length: 1\r\n"
    head += "Upload-Draft-Interop-Version: 9\r\n\r\n"
    answer = client.daemon.talk(head.encode() + b"x")
    assert answer.startswith((b"HTTP/1.0 201 ", b"HTTP/1.1 201 "))
    assert b" 104 " not in answer


def test_not_with_a_refusal(client: Client) -> None:
    """There is nothing to go on with."""
    path = fresh_key()
    client.begin(b"x", path)
    refused = client.ask("PUT", path, client.fields(complete=True), b"x")
    assert (refused.status, refused.interim) == (409, ())


def test_who_asks_first_is_invited_too(client: Client) -> None:
    """The one does not stand for the other."""
    fields = client.fields(complete=True) | {"Content-Length": "1", "Expect": "100-continue"}
    with client.open("PUT", fresh_key(), fields) as line:
        assert [line.head()[0], line.head()[0]] == [104, 100]
        line.send(b"x")
        assert line.reply().status == 200


def test_curl_takes_the_answer(client: Client) -> None:
    """It passes over what it does not know."""
    path = fresh_key()
    done = curl(
        "-T", "-", "-H", "Upload-Complete: ?1", "-H", "Upload-Draft-Interop-Version: 9",
        "-w", "%{http_code}", client.daemon.url(path), input=b"by curl",
    )  # fmt: skip
    assert done.stdout == client.daemon.url(path).encode() + b"\n200"
    assert get(client.daemon, path).body == b"by curl"


def test_the_connection_goes_on(client: Client) -> None:
    """After a first answer with another one before it there is a second."""
    fields = client.fields(complete=True) | {"Content-Length": "1", "Host": "localhost"}
    with client.open("PUT", fresh_key(), fields, b"x") as line:
        first = line.reply()
        assert (first.status, len(first.interim)) == (200, 1)
        lines = [f"PUT {fresh_key()} HTTP/1.1", *(f"{name}: {fields[name]}" for name in fields)]
        line.send("\r\n".join((*lines, "", "y")).encode())
        assert line.reply().status == 200


def test_how_far_it_is(client: Client) -> None:
    """While a long body comes its sender is told, now and then, what he need not send again."""
    made = client.begin(b"")
    body = body_of(MIB)
    said = client.fields(False, 0, Content_Type=PARTIAL) | {"Content-Length": str(70 * MIB)}
    with client.open("PATCH", made.location, said) as line:
        for _ in range(66):  # much is made durable at once, a little after some seconds
            line.send(body)
        status, headers = line.head()
        assert status == 104
        assert "Location" not in headers
        told = int(headers["Upload-Offset"])
        assert MIB <= told <= 66 * MIB
    eventually(lambda: client.state(made.location)[0] == 66 * MIB)
