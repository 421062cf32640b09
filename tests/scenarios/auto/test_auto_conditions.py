"""ETag and its conditions, and digests on request, in the protocol auto."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.conftest import Daemon, eventually
from tests.scenarios.answers import Answer, ask, assert_refused, upload
from tests.scenarios.peers import MIB, Download, Upload, body_of, key_of


def put(daemon: Daemon, path: str, size: int = 5) -> str:
    """Upload zeros; returns the ETag."""
    tag = upload(daemon, path, bytes(size))["ETag"]
    assert tag is not None
    return tag


def on(daemon: Daemon, path: str, header: str, *arguments: str) -> Answer:
    """A GET, or what `arguments` make of it, with one more header."""
    return ask(daemon, path, "--header", header, *arguments)


# -- entity tags


@pytest.mark.parametrize("size", [70_000, 2 * MIB])
def test_the_tag_names_the_upload(both: Daemon, path: str, size: int) -> None:
    """The same bytes under the same key are another object, with another strong tag."""
    tags = set()
    for _ in range(3):
        with Upload(both, path, size) as sender:
            sender.send(bytes(size - 1))
            eventually(lambda: key_of(both, path[1:]))
            tags.add(ask(both, path, "--head")["ETag"])
        eventually(lambda: key_of(both, path[1:]) is None)
    tags.add(put(both, path, size))
    assert len(tags) == 4
    assert all(tag and tag.startswith('"') for tag in tags)


@pytest.mark.parametrize("method", [(), ("--head",)], ids=["GET", "HEAD"])
def test_if_none_match(both: Daemon, path: str, method: tuple[str, ...]) -> None:
    """Who has the object already gets 304 and no byte; who has another one gets this."""
    tag = put(both, path, 2 * MIB)
    for same in (tag, f"W/{tag}", f'"a", {tag}', "*"):
        answer = on(both, path, f"If-None-Match: {same}", *method)
        assert (answer.status, answer.body) == (304, b""), same
        assert answer["ETag"] == tag
        assert answer["Content-Length"] is None
    assert on(both, path, 'If-None-Match: "another"', *method).status == 200


def test_if_none_match_in_two_lines(shared: Daemon, path: str) -> None:
    """A list may come in two lines."""
    tag = put(shared, path)
    two = ("--header", 'If-None-Match: "another"', "--header", f"If-None-Match: {tag}")
    assert ask(shared, path, *two).status == 304


@pytest.mark.parametrize("method", [(), ("--head",)], ids=["GET", "HEAD"])
def test_if_match(both: Daemon, path: str, method: tuple[str, ...]) -> None:
    """Who wants this object and no other is refused when it is another."""
    tag = put(both, path, 2 * MIB)
    for same in (tag, f'"a", {tag}', "*"):
        assert on(both, path, f"If-Match: {same}", *method).status == 200, same
    for other in ('"another"', f"W/{tag}"):
        assert on(both, path, f"If-Match: {other}", *method).status == 412, other
    assert_refused(on(both, path, 'If-Match: "another"'), 412, "another object")


def test_conditions_hold_while_it_grows(both: Daemon, path: str) -> None:
    """The tag stands from the first byte on."""
    with Upload(both, path, 2 * MIB) as sender:
        sender.send(bytes(MIB))
        eventually(lambda: key_of(both, path[1:]))
        tag = ask(both, path, "--head")["ETag"]
        assert on(both, path, f"If-None-Match: {tag}").status == 304
        assert on(both, path, 'If-Match: "another"').status == 412
        sender.finish(bytes(MIB))


# -- digests


def sha_256(data: bytes) -> str:
    """As the header has it."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


@pytest.mark.parametrize("size", [0, 5, 3 * MIB])
def test_the_digest_of_an_upload(both: Daemon, path: str, size: int) -> None:
    """Repr-Digest comes with PUT, GET, HEAD and 206, when it is asked for, and only then."""
    body = body_of(size)
    wanted = ("--header", "Want-Repr-Digest: sha-256=5")
    sent = upload(both, path, body, *wanted)
    assert sent["Repr-Digest"] == sha_256(body)
    assert ask(both, path, *wanted)["Repr-Digest"] == sha_256(body)
    assert ask(both, path, *wanted, "--head")["Repr-Digest"] == sha_256(body)
    if size:
        part = ask(both, path, *wanted, "--range", "1-2")
        assert (part.status, part["Repr-Digest"]) == (206, sha_256(body))
    assert ask(both, path)["Repr-Digest"] is None
    assert upload(both, f"{path}-b", body)["Repr-Digest"] is None


def test_the_digest_that_is_liked_best(shared: Daemon, path: str) -> None:
    """The preferred algorithm of those that we have, also when they come in two lines."""
    upload(shared, path, b"hello")
    sha_512 = base64.b64encode(hashlib.sha512(b"hello").digest()).decode()
    lines = ("--header", "Want-Repr-Digest: sha-256=1, md5=10", "--header",
             "Want-Repr-Digest: sha-512=3")  # fmt: skip
    assert ask(shared, path, *lines)["Repr-Digest"] == f"sha-512=:{sha_512}:"
    assert on(shared, path, "Want-Repr-Digest: md5=10")["Repr-Digest"] is None
    assert on(shared, path, "Want-Repr-Digest: sha-256=0")["Repr-Digest"] is None


@pytest.mark.parametrize("wanted", ["sha-256", "sha-256=11", "sha-256=x", "=", "sha-256=1;", "é"])
def test_a_wrong_wish(shared: Daemon, path: str, wanted: str) -> None:
    """A wish that cannot be read is refused before anything happens."""
    header = f"Want-Repr-Digest: {wanted}"
    assert_refused(upload(shared, path, b"hello", "--header", header), 400, "Want-Repr-Digest")
    upload(shared, path, b"hello")
    assert_refused(on(shared, path, header), 400, "Want-Repr-Digest")
    assert on(shared, path, header, "--head").status == 400


def test_no_digest_while_it_grows(both: Daemon, path: str) -> None:
    """What is not known yet is not said."""
    with Upload(both, path, 2 * MIB) as sender:
        sender.send(bytes(MIB))
        with Download(both, path, "Want-Repr-Digest: sha-256=1") as reader:
            assert reader.begin() == 200
            assert reader.response.getheader("Repr-Digest") is None
            sender.finish(bytes(MIB))
            assert reader.rest() == bytes(2 * MIB)
