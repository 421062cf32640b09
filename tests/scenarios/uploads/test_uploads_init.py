"""POST /upload/init: what is answered, what is refused, and that a refusal leaves nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.scenarios.peers import MIB, body_of
from tests.scenarios.uploads.api import KEY, Api, fresh_name

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_the_answer(each: Api) -> None:
    """A token for each part, equal parts that a client can also find by dividing, a date with Z."""
    made = each.begin(body_of(2 * MIB + MIB // 2))
    answer = made.answer
    assert set(answer) == {"file_id", "total_parts", "chunk_size", "parts", "expires_at"}
    assert answer["total_parts"] == 3
    assert answer["chunk_size"] == -(-len(made.body) // 3)
    assert [(part["part"], part["status"]) for part in answer["parts"]] == [
        (number, "pending") for number in range(3)
    ]
    assert len({part["token"] for part in answer["parts"]}) == 3
    assert DATE.fullmatch(answer["expires_at"])


@pytest.mark.parametrize(
    ("size", "count", "chunk"),
    [(0, 0, MIB), (1, 1, 1), (MIB, 1, MIB), (MIB + 1, 2, MIB // 2 + 1), (120, 1, 120)],
)
def test_sizes(api: Api, size: int, count: int, chunk: int) -> None:
    """The number of parts and their size, also of nothing; the size is never 0."""
    answer = api.begin(bytes(size)).answer
    assert (answer["total_parts"], answer["chunk_size"], len(answer["parts"])) == (
        count, chunk, count,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.x+json"])
def test_kinds_of_json(api: Api, kind: str) -> None:
    """Every spelling of the type that says JSON is taken."""
    fields = {"filename": fresh_name(), "total_size": 1, "colour": "unknown keys are ignored"}
    body = json.dumps(fields).encode()
    assert api.ask("POST", "/upload/init", body, {"Content-Type": kind}).status == 200


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 422),
        ({"filename": "f"}, 422),
        ({"total_size": 1}, 422),
        ({"filename": 1, "total_size": 1}, 422),
        ({"filename": None, "total_size": 1}, 422),
        ({"filename": "f", "total_size": "1"}, 422),
        ({"filename": "f", "total_size": 1.0}, 422),
        ({"filename": "f", "total_size": True}, 422),
        ({"filename": "f", "total_size": None}, 422),
        ({"filename": "f", "total_size": -1}, 400),
        ({"filename": "f", "total_size": -(10**30)}, 400),
        ({"filename": "f", "total_size": 10_000 * MIB + 1}, 413),
        ({"filename": "f", "total_size": 2**63}, 413),
        ({"filename": "f", "total_size": 10**30}, 413),
        ({"filename": "f", "total_size": 1, "checksum_sha256": "short"}, 422),
        ({"filename": "f", "total_size": 1, "checksum_sha256": 7}, 422),
        ({"filename": "f", "total_size": 1, "overwrite": "yes"}, 422),
    ],
)
def test_wrong_fields(api: Api, fields: dict[str, Any], status: int) -> None:
    """Missing, of another type, out of range: each has its status and its sentence."""
    reply = api.init(**fields)
    assert any(word in reply.refused(status) for word in (*fields, "filename", "total_size"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "empty"),
        ("/", "empty"),
        ("..", "dot segment"),
        ("../x", "dot segment"),
        ("../../x/f", "dot segment"),
        ("a/../../f", "dot segment"),
        ("a/..", "dot segment"),
        ("./f", "dot segment"),
        ("a//f", "empty segment"),
        ("//etc/passwd", "empty segment"),
        ("folder/", "empty segment"),
        ("a\\b", "backslash"),
        ("..\\..\\f", "backslash"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("a\u202eb", "bidirectional"),
        ("\ud800", "Unicode"),
        ("e\u0301", "normalization"),
        ("x" * 256, "255 bytes"),
        ("x" * 300, "255 bytes"),
        ("/".join(["x" * 200] * 6), "1024 bytes"),
        (".filepipe-parts/f", "own"),
    ],
)
def test_names_that_are_refused(api: Api, name: str, said: str) -> None:
    """Nothing leads out of the folder, and nothing is dropped from a name without a word."""
    assert said in api.init(filename=name, total_size=1).refused(400, "bad_request")


@pytest.mark.parametrize("name", ["ein Märchen — 童話 🧚.txt", "My Videos/a b.mp4", "~$ &;'\""])
def test_names_that_are_kept(api: Api, name: str) -> None:
    """A name is kept to the letter."""
    made = api.upload(b"x", name)
    assert made.status()["final_path"] == name
    assert api.at(name) == b"x"


def test_a_leading_slash(api: Api) -> None:
    """It names the same folder as without."""
    name = fresh_name()
    assert api.upload(b"x", f"/{name}").status()["final_path"] == name


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b'{"total_size": ' + b"9" * 5000 + b"}", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b'{"filename": "f", "total_size": NaN}', "application/json", 422),
        (b'{"filename": "f", "total_size": 1e999}', "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b"{}", "application/jsonx", 415),
        (b" " * (64 * 1024 + 1), "application/json", 413),
    ],
)
def test_bodies_that_are_refused(api: Api, body: bytes, kind: str, status: int) -> None:
    """Too large, of another type, no JSON, no object: as JSON, each with its own status."""
    api.ask("POST", "/upload/init", body, {"Content-Type": kind}).refused(status)


@pytest.mark.parametrize("key", [None, "", "wrong", KEY[:-1], KEY + "x", KEY.upper(), "schlüssel"])
def test_the_key(each: Api, key: str | None) -> None:
    """Without the right key nothing is read, not even whether the body is JSON."""
    headers = {} if key is None else {"X-API-Key": key}
    reply = each.call("POST", "/upload/init", b"no JSON", headers)
    said = reply.refused(401, "unauthorized")
    assert said == ("Missing API key" if key is None else "Invalid API key")


def test_a_webhook_is_refused(api: Api) -> None:
    """Where the operator allows none, before anything is stored."""
    reply = api.init(filename="f", total_size=1, webhook_url="https://example.com/hook")
    assert reply.refused(403, "forbidden") == "sending webhooks is not allowed here"


def test_a_refusal_leaves_nothing(api: Api) -> None:
    """No record and no file."""
    before = api.ask("GET", "/upload").json
    for name in ("..", "a/../../f"):
        api.init(filename=name, total_size=1)
    assert api.ask("GET", "/upload").json == before
    assert "f" not in api.names()
