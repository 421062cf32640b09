"""An upload begins: a PUT or POST of a key says that it may come in pieces."""

from __future__ import annotations

import time

import pytest

from tests.conftest import Daemon, eventually
from tests.scenarios.peers import MIB, body_of
from tests.scenarios.resumable.peer import Client, fresh_key, get


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_all_in_one_go(each: Client, method: str) -> None:
    """The answer is that of any PUT, and says that the upload is complete."""
    path, body = fresh_key(), body_of(70_000)
    done = each.ask(method, path, each.fields(complete=True, Content_Type="text/x-any"), body)
    assert done.status == 200
    assert done.body.decode() == f"http://localhost{path}\n"
    assert each.fields(complete=True).items() <= dict(done.headers).items()
    assert done.offset == len(body)
    assert each.state(done.location) == (len(body), True)
    found = get(each.daemon, path)
    assert found.body == body
    assert (found["Content-Type"], found["ETag"]) == ("text/x-any", done["ETag"])


def test_the_beginning_of_one(each: Client) -> None:
    """The answer says where to go on, and how far it is."""
    made = each.begin(b"begin")
    assert each.fields(complete=False).items() <= dict(made.headers).items()
    assert (made.offset, made["Upload-Length"]) == (5, None)
    assert made["Upload-Limit"] is not None
    assert ("expires=" in made["Upload-Limit"]) is (each.version == 6)
    assert "max-age=" in made["Upload-Limit"]
    assert made.location.startswith("/files/")
    assert each.state(made.location) == (5, False)


def test_a_careful_beginning(each: Client) -> None:
    """Without a byte it only gets the URL."""
    made = each.begin()
    assert each.state(made.location) == (0, False)
    done = each.append(made.location, 0, b"all of it", complete=True)
    assert done.status == 200


def test_nothing_at_all(client: Client) -> None:
    """An empty body may be the whole."""
    path = fresh_key()
    done = client.ask("PUT", path, client.fields(complete=True), b"")
    assert (done.status, done.offset) == (200, 0)
    assert get(client.daemon, path).body == b""
    bare = client.ask("PUT", fresh_key(), client.fields(complete=True))
    assert bare.status == 200


def test_a_body_without_a_length(client: Client) -> None:
    """Its end says how long it is."""
    path = fresh_key()
    done = client.in_chunks("PUT", path, client.fields(complete=True), b"one ", b"two")
    assert (done.status, done.offset, done["Upload-Length"]) == (200, 7, "7")
    assert get(client.daemon, path).body == b"one two"


@pytest.mark.parametrize("value", ["true", "1", "?2", "?1, ?1", ""])
def test_a_field_that_is_none(client: Client, value: str) -> None:
    """It is as if it were not there: an ordinary PUT."""
    path = fresh_key()
    done = client.ask("PUT", path, {"Upload-Complete": value}, b"ordinary")
    assert done.status == 200
    assert "Upload-Complete" not in done.headers
    assert get(client.daemon, path).body == b"ordinary"


def test_a_field_of_another_version(shared: Daemon) -> None:
    """Only the first version says incomplete."""
    for version, name in ((3, "Upload-Complete"), (4, "Upload-Incomplete")):
        fields = {"Upload-Draft-Interop-Version": str(version), name: "?0"}
        assert Client(shared).ask("PUT", fresh_key(), fields, b"x").status == 200


def test_what_is_said_of_it_is_kept(client: Client) -> None:
    """Type, coding and name."""
    path = fresh_key()
    made = client.begin(
        b"",
        path,
        Content_Type="text/plain",
        Content_Encoding="gzip",
        Content_Disposition="inline; filename*=UTF-8''%C3%A9t%C3%A9.txt",
    )
    assert client.append(made.location, 0, b"x", complete=True).status == 200
    found = get(client.daemon, path)
    assert (found["Content-Type"], found["Content-Encoding"]) == ("text/plain", "gzip")
    assert "%C3%A9t%C3%A9.txt" in (found["Content-Disposition"] or "")


@pytest.mark.parametrize("cut", ["end", "reset"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_that_is_cut(client: Client, cut: str, framing: str) -> None:
    """What came is kept, and is not complete."""
    path, body = fresh_key(), body_of(2 * MIB)
    made = client.begin(b"", path)
    fields = client.fields(True, 0, Content_Type="application/partial-upload")
    extra = {"Content-Length": str(len(body))} if framing == "length" else {
        "Transfer-Encoding": "chunked"
    }  # fmt: skip
    line = client.open("PATCH", made.location, {**extra, **fields})
    half = body[:MIB]
    if framing == "length":
        line.send(half)
    else:
        line.chunk(half)
    eventually(lambda: int(client.ask("HEAD", path, {})["Upload-Offset"] or 0) == MIB)
    getattr(line, cut)()
    assert client.state(made.location) == (MIB, False)
    done = client.append(made.location, MIB, body[MIB:], complete=True)
    assert done.status == 200
    assert get(client.daemon, path).body == body


def test_a_creation_that_is_cut(client: Client) -> None:
    """The interim answer has told where to go on."""
    path, body = fresh_key(), body_of(300_000)
    fields = client.fields(complete=True) | {"Content-Length": str(len(body))}
    with client.open("PUT", path, fields, body[:100_000]) as line:
        status, said = line.head()
        assert status == 104
        eventually(lambda: client.ask("HEAD", path, {})["Upload-Offset"] == "100000")
    location = str(said["Location"])
    assert client.state(location) == (100_000, False)
    assert client.look(location)["Upload-Length"] == "300000"
    assert client.append(location, 100_000, body[100_000:], complete=True).status == 200
    assert get(client.daemon, path).body == body


def test_broken_framing(client: Client) -> None:
    """The bytes before it are kept."""
    path = fresh_key()
    made = client.begin(b"abc", path)
    said = client.fields(True, 3, Content_Type="application/partial-upload")
    with client.open("PATCH", made.location, {"Transfer-Encoding": "chunked", **said}) as line:
        line.chunk(b"def")
        eventually(lambda: client.ask("HEAD", path, {})["Upload-Offset"] == "6")
        line.send(b"no chunk\r\n")
        refused = line.reply()
    refused.problem(400)
    assert refused["Upload-Complete"] == "?0"
    assert client.state(made.location) == (6, False)


@pytest.mark.parametrize("name", ["n=1", "n=2", "wait=1", "max-age=5"])
def test_queries_that_do_not_go_with_it(client: Client, name: str) -> None:
    """They are for bodies that are not kept like this."""
    path = fresh_key()
    refused = client.ask("PUT", f"{path}?{name}", client.fields(complete=True), b"x")
    refused.problem(400)
    assert refused["Upload-Complete"] == "?1"
    assert client.ask("HEAD", path, {}).status == 404


@pytest.mark.parametrize(
    ("field", "status"),
    [
        ("Content-Range: bytes 0-0/1", 400),
        ("X-Forward-Url: http://127.0.0.1/", 400),
        ('If-Match: "x"', 412),
        ("Content-Type: multipart/form-data; boundary=x", 415),
        ("Content-Type: multipart/form-data", 400),
        ("Upload-Offset: 5", 400),
        ("Expect: 102-processing", 417),
        ("Want-Repr-Digest: sha-256=99", 400),
        ("Repr-Digest: sha-256=x", 400),
        ("Content-Digest: sha-256", 400),
    ],
)
def test_headers_that_do_not_go_with_it(client: Client, field: str, status: int) -> None:
    """Refused before anything is stored, and nobody is to try it again."""
    path = fresh_key()
    name, _, value = field.partition(": ")
    refused = client.ask("PUT", path, client.fields(complete=True) | {name: value}, b"x")
    refused.problem(status)
    assert refused["Upload-Complete"] == "?1"
    assert "Location" not in refused.headers
    assert client.ask("HEAD", path, {}).status == 404


def test_other_methods_of_a_key(client: Client) -> None:
    """Only a PUT or a POST begins one."""
    assert client.ask("PATCH", fresh_key(), client.fields(complete=True), b"x").status == 405


def test_lengths_that_do_not_agree(each: Client) -> None:
    """Refused before anything is stored."""
    path = fresh_key()
    for complete, length in ((True, 4), (True, 6), (False, 4)):
        refused = each.ask("PUT", path, each.fields(complete, Upload_Length=length), b"12345")
        refused.problem(400, "inconsistent-upload-length")
        assert each.fields(complete=False).items() <= dict(refused.headers).items()
    assert each.ask("HEAD", path, {}).status == 404


def test_a_length_is_told_again(client: Client) -> None:
    """Once it was said."""
    made = client.begin(b"123", Upload_Length=10)
    assert made["Upload-Length"] == client.look(made.location)["Upload-Length"] == "10"


def test_too_large(narrow: Client) -> None:
    """A body beyond its limit may come in smaller ones; an upload beyond its own may not."""
    body = bytes(MIB + 1)
    refused = narrow.ask("PUT", fresh_key(), narrow.fields(complete=False), body)
    refused.problem(413)
    limits = refused["Upload-Limit"] or ""
    assert f"max-size={3 * MIB}" in limits
    assert f"max-append-size={MIB}" in limits
    assert refused["Upload-Complete"] == "?0"
    path = fresh_key()
    refused = narrow.ask("PUT", path, narrow.fields(complete=False, Upload_Length=3 * MIB + 1), b"")
    refused.problem(413)
    assert "max-size=" in (refused["Upload-Limit"] or "")
    assert narrow.ask("HEAD", path, {}).status == 404


def test_refused_before_the_body(narrow: Client) -> None:
    """Who asks first does not send it."""
    fields = narrow.fields(complete=True) | {
        "Content-Length": str(MIB + 1),
        "Expect": "100-continue",
    }
    with narrow.open("PUT", fresh_key(), fields) as line:
        refused = line.reply()
    refused.problem(413)
    assert refused.interim == ()


def test_a_key_that_is_complete(each: Client) -> None:
    """It is somebody else's: the problem is not that of an upload of one's own."""
    path = fresh_key()
    assert each.ask("PUT", path, each.fields(complete=True), b"x").status == 200
    refused = each.ask("PUT", path, each.fields(complete=True), b"x")
    refused.problem(409)
    assert each.fields(complete=True).items() <= dict(refused.headers).items()


def test_a_key_in_use(client: Client) -> None:
    """Whoever has it, another writer is refused for good; so is a PUT of a key with an upload."""
    path = fresh_key()
    assert client.ask("PUT", path, {}, b"ordinary").status == 200
    refused = client.ask("PUT", path, client.fields(complete=True), b"x")
    refused.problem(409)
    assert refused["Upload-Complete"] == "?1"
    path = fresh_key()
    made = client.begin(b"x", path)
    for method, fields in (
        ("PUT", {}),
        ("POST", {}),
        ("PUT", client.fields(complete=True)),
        ("POST", client.fields(complete=False)),
    ):
        assert client.ask(method, path, fields, b"x").status == 409
    assert client.append(made.location, 1, b"y", complete=True).status == 200
    assert client.ask("PUT", path, {}, b"x").status == 409
    assert get(client.daemon, path).body == b"xy"


def test_a_reserved_name(client: Client) -> None:
    """It is none for an upload either."""
    assert client.ask("PUT", "/help", client.fields(complete=True), b"x").status == 400
    assert client.ask("PUT", "/a//b", client.fields(complete=True), b"x").status == 400


def test_below_a_prefix(client: Client) -> None:
    """The upload's URL is below it as well."""
    made = client.ask("PUT", f"/-/auto{fresh_key()}", client.fields(complete=False), b"x")
    assert made.location.startswith("/-/auto/files/")
    assert client.state(made.location) == (1, False)


def test_below_a_public_url(shared: Daemon) -> None:
    """Without one the URL is a path, which holds behind every proxy that keeps paths."""
    made = Client(shared).begin()
    assert made.location.startswith("/files/")
    assert len(made.location) >= len("/files/") + 22


def test_a_silent_sender(narrow: Client) -> None:
    """It is told so, and what it sent is kept."""
    made = narrow.begin(b"abc")
    said = narrow.fields(True, 3, Content_Type="application/partial-upload")
    started = time.monotonic()
    with narrow.open("PATCH", made.location, {"Content-Length": "9", **said}, b"def") as line:
        refused = line.reply()
    refused.problem(408)
    assert time.monotonic() - started < 10
    assert refused["Upload-Complete"] == "?0"
    assert refused.offset == 6
    assert narrow.state(made.location) == (6, False)


@pytest.mark.parametrize("cut", ["end", "reset"])
def test_a_creation_that_is_cut_unheard(client: Client, cut: str) -> None:
    """Nobody was told where to go on, so nobody can: it ends as any PUT does."""
    path = fresh_key()
    fields = {"Upload-Complete": "?1", "Content-Length": "99"}
    line = client.open("PUT", path, fields, b"12345")
    eventually(lambda: client.ask("HEAD", path, {})["Upload-Offset"] == "5")
    with client.open("GET", path, {}) as reader:
        assert reader.head()[0] == 200
        getattr(line, cut)()
        assert len(reader.rest()) < 99
    eventually(lambda: client.ask("HEAD", path, {}).status == 404)
    assert client.ask("PUT", path, {}, b"another").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/", "/a%00b", "/a/../b", "/a%5Cb", "/a//b", f"/{'a' * 513}", "/%FF", "/state",
        "/a?wait=1&wait=2",
    ],
)  # fmt: skip
def test_what_can_be_no_key(client: Client, path: str) -> None:
    """It is refused like everything else, and no other place is worth a try with that name."""
    for complete in (False, True):
        refused = client.ask("PUT", path, client.fields(complete=complete), b"body")
        refused.problem(400)
        assert (refused["Upload-Complete"], refused["Location"]) == ("?1", None)
