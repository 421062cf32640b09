"""Several at one upload: a new request ends the one before, and nobody is told an old offset."""

from __future__ import annotations

import hashlib
import threading

from tests.conftest import eventually
from tests.scenarios.peers import MIB, body_of
from tests.scenarios.resumable.peer import PARTIAL, Client, Line, Reply, fresh_key, get


def sending(client: Client, location: str, path: str, body: bytes, offset: int = 0) -> Line:
    """An append that has sent these bytes, and has nine more to send."""
    said = client.fields(False, offset, Content_Type=PARTIAL)
    line = client.open("PATCH", location, {"Content-Length": str(len(body) + 9), **said}, body)
    reached = str(offset + len(body))
    eventually(lambda: client.ask("HEAD", path, {})["Upload-Offset"] == reached)
    return line


def test_asking_ends_it(client: Client) -> None:
    """The offset that is told is that at which the next one may go on."""
    path = fresh_key()
    made = client.begin(b"", path)
    with sending(client, made.location, path, b"12345") as line:
        assert client.state(made.location) == (5, False)
        ended = line.reply()
        assert ended.status >= 500
        assert ended["Connection"] == "close"
    assert client.append(made.location, 5, b"6", complete=True).status == 200
    assert get(client.daemon, path).body == b"123456"


def test_going_on_ends_it(client: Client) -> None:
    """What the one before had sent stays."""
    path = fresh_key()
    made = client.begin(b"", path)
    with sending(client, made.location, path, b"12345") as line:
        assert client.append(made.location, 5, b"6", complete=True).status == 200
        assert line.reply().status >= 500
    assert get(client.daemon, path).body == b"123456"


def test_asking_ends_a_long_one(client: Client) -> None:
    """Also where the kernel moves the bytes; those that are not acknowledged come again."""
    path, body = fresh_key(), body_of(12 * MIB)
    made = client.begin(b"", path, Upload_Length=len(body))
    said = client.fields(True, 0, Content_Type=PARTIAL)
    framing = {"Content-Length": str(len(body))}
    with client.open("PATCH", made.location, {**framing, **said}, body[: 8 * MIB]) as line:
        eventually(lambda: int(client.ask("HEAD", path, {})["Upload-Offset"] or 0) > 4 * MIB)
        offset, complete = client.state(made.location)
        assert (4 * MIB < offset <= 8 * MIB, complete) == (True, False)
        assert line.reply().status >= 500
    assert client.append(made.location, offset, body[offset:], complete=True).status == 200
    found = get(client.daemon, path).body
    assert hashlib.sha256(found).digest() == hashlib.sha256(body).digest()


def test_a_creation_is_ended_as_well(client: Client) -> None:
    """By who was told where to go on."""
    path = fresh_key()
    fields = client.fields(complete=True) | {"Content-Length": "99"}
    with client.open("PUT", path, fields, b"123") as line:
        location = str(line.head()[1]["Location"])
        eventually(lambda: client.ask("HEAD", path, {})["Upload-Offset"] == "3")
        assert client.state(location) == (3, False)
        assert line.reply().status >= 500
    assert client.look(location)["Upload-Length"] == "99"


def test_giving_up_ends_it(client: Client) -> None:
    """Its sender is told, or cut."""
    path = fresh_key()
    made = client.begin(b"", path)
    with sending(client, made.location, path, b"12345") as line:
        assert client.ask("DELETE", made.location, client.fields()).status == 204
        assert line.reply().status >= 400
    assert client.look(made.location).status in (404, 410)


def test_many_at_once(client: Client) -> None:
    """Of those that begin at one offset, one gets it; nothing is mixed, nothing lost."""
    path = fresh_key()
    made = client.begin(b"", path)
    bodies = [bytes([65 + number]) * 200_000 for number in range(4)]
    replies: list[Reply | None] = [None] * 4

    def send(number: int) -> None:
        replies[number] = client.append(made.location, 0, bodies[number])

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    statuses = [reply.status for reply in replies if reply is not None]
    assert len(statuses) == 4
    assert statuses.count(204) <= 1
    offset, _ = client.state(made.location)
    assert client.append(made.location, offset, b"!", complete=True).status == 200
    found = get(client.daemon, path).body
    assert len(found) == offset + 1
    letters = [body[0] for body in bodies if body[0] in found]
    assert len(found) - 1 == sum(found.count(letter) for letter in letters)


def test_asking_again_and_again(client: Client) -> None:
    """However often one is interrupted, going on where one was told ends with the same bytes."""
    path, body = fresh_key(), body_of(400_000)
    made = client.begin(b"", path)
    offset = 0
    for stop in range(50_000, 400_000, 50_000):
        with sending(client, made.location, path, body[offset:stop], offset):
            offset, complete = client.state(made.location)
            assert (offset, complete) == (stop, False)
    assert client.append(made.location, offset, body[offset:], complete=True).status == 200
    assert get(client.daemon, path).body == body
