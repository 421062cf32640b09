"""An upload goes on: PATCH at its own URL."""

from __future__ import annotations

import pytest

from tests.scenarios.peers import MIB, body_of
from tests.scenarios.resumable.peer import PARTIAL, Client, fresh_key, get

COMPLETE_PROBLEM = (6, 7, 8)
"""Versions with a problem type for what is complete already."""


def test_in_pieces(each: Client) -> None:
    """Each is acknowledged, and the last one is answered as a PUT is."""
    path, body = fresh_key(), body_of(300_000)
    made = each.begin(body[:1000], path)
    for start, stop in ((1000, 70_000), (70_000, 70_001)):
        kept = each.append(made.location, start, body[start:stop])
        assert kept.status == (201 if each.version in (3, 4) else 204)
        assert kept.offset == stop
        assert each.fields(complete=False).items() <= dict(kept.headers).items()
        assert "Location" not in kept.headers
        assert each.state(made.location) == (stop, False)
    done = each.append(made.location, 70_001, body[70_001:], complete=True)
    assert (done.status, done.body.decode()) == (200, f"http://localhost{path}\n")
    assert each.fields(complete=True).items() <= dict(done.headers).items()
    assert each.state(made.location) == (len(body), True)
    assert get(each.daemon, path).body == body


@pytest.mark.parametrize("offset", [0, 4, 6, 999_999_999_999_999])
def test_another_offset(each: Client, offset: int) -> None:
    """The refusal says where to go on, and the upload is as it was."""
    made = each.begin(b"12345")
    refused = each.append(made.location, offset, b"x", complete=True)
    said = refused.problem(409, "mismatching-upload-offset")
    assert (said["expected-offset"], said["provided-offset"]) == (5, offset)
    assert refused.offset == 5
    assert each.fields(complete=False).items() <= dict(refused.headers).items()
    assert each.append(made.location, 5, b"6", complete=True).status == 200


@pytest.mark.parametrize("kind", ["", "text/plain", "application/partial-uploads"])
def test_another_type(each: Client, kind: str) -> None:
    """From some version on an append has a type of its own."""
    made = each.begin(b"1")
    answer = each.append(made.location, 1, b"2", Content_Type=kind)
    if each.version in (3, 4, 5):
        assert answer.status in (201, 204)
    else:
        answer.problem(415)
        assert each.state(made.location) == (1, False)


def test_a_type_with_parameters(client: Client) -> None:
    """They mean nothing, nor does the case."""
    made = client.begin(b"1")
    kept = client.append(made.location, 1, b"2", Content_Type="Application/Partial-Upload; a=b")
    assert kept.status == 204


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Upload-Offset": "1"},
        {"Upload-Complete": "?0"},
        {"Upload-Offset": "-1", "Upload-Complete": "?0"},
        {"Upload-Offset": "+1", "Upload-Complete": "?0"},
        {"Upload-Offset": "1_0", "Upload-Complete": "?0"},
        {"Upload-Offset": "1, 1", "Upload-Complete": "?0"},
        {"Upload-Offset": "1000000000000000", "Upload-Complete": "?0"},
        {"Upload-Offset": "1", "Upload-Complete": "true"},
        {"Upload-Offset": "1", "Upload-Complete": "?1, ?1"},
        {"Upload-Offset": "\udcff", "Upload-Complete": "?1"},
    ],
)
def test_fields_that_are_missing(client: Client, fields: dict[str, str]) -> None:
    """One that cannot be read is missing."""
    made = client.begin(b"1")
    client.ask("PATCH", made.location, {"Content-Type": PARTIAL, **fields}, b"2").problem(400)
    assert client.state(made.location) == (1, False)


def test_an_end_without_a_byte(client: Client) -> None:
    """The upload is complete with what is there."""
    path = fresh_key()
    made = client.begin(b"all", path)
    assert client.append(made.location, 3, b"", complete=False).status == 204
    assert client.append(made.location, 3, b"", complete=True).status == 200
    assert get(client.daemon, path).body == b"all"


def test_a_body_that_passes_its_limit(narrow: Client) -> None:
    """A longer one is refused; how far it got, if at all, can be asked."""
    made = narrow.begin(b"1")
    refused = narrow.append(made.location, 1, bytes(MIB + 1))
    refused.problem(413)
    assert "max-append-size=" in (refused["Upload-Limit"] or "")
    assert refused["Upload-Complete"] == "?0"
    assert narrow.state(made.location) == (1, False)
    said = narrow.fields(False, 1, Content_Type=PARTIAL)
    refused = narrow.in_chunks("PATCH", made.location, said, bytes(MIB), b"too much")
    refused.problem(413)
    assert refused["Upload-Complete"] == "?0"
    offset, complete = narrow.state(made.location)
    assert (1 <= offset <= MIB + 1, complete) == (True, False)
    assert narrow.append(made.location, offset, b"x", complete=True).status == 200


def test_an_upload_that_passes_its_limit(narrow: Client) -> None:
    """Also when it never said how long it gets."""
    made = narrow.begin(b"")
    for number in range(3):
        assert narrow.append(made.location, number * MIB, bytes(MIB)).status == 204
    refused = narrow.append(made.location, 3 * MIB, b"x")
    refused.problem(413)
    assert "max-size=" in (refused["Upload-Limit"] or "")


def test_more_than_was_announced(client: Client) -> None:
    """It is refused, and the upload is dead."""
    for chunked in (False, True):
        path = fresh_key()
        made = client.begin(b"12345", path, Upload_Length=10)
        said = client.fields(False, 5, Content_Type=PARTIAL)
        if chunked:
            refused = client.in_chunks("PATCH", made.location, said, b"678901")
        else:
            refused = client.ask("PATCH", made.location, said, b"678901")
        refused.problem(400, "inconsistent-upload-length")
        assert client.look(made.location).status in (404, 410)
        assert client.ask("HEAD", path, {}).status == 404
        assert client.append(made.location, 5, b"67890", complete=True).status in (404, 410)


def test_lengths_that_do_not_agree(client: Client) -> None:
    """Nothing of such a body is kept, and the upload can be gone on with."""
    made = client.begin(b"12345", Upload_Length=10)
    for fields, body in (({"Upload_Length": 11}, b""), ({"Upload_Length": 9}, b"6789")):
        refused = client.append(made.location, 5, body, **fields)  # type: ignore[arg-type]
        refused.problem(400, "inconsistent-upload-length")
        assert refused["Upload-Complete"] == "?0"
    refused = client.append(made.location, 5, b"6789", complete=True)
    refused.problem(400, "inconsistent-upload-length")
    assert refused["Upload-Complete"] == "?0"
    assert client.state(made.location) == (5, False)
    assert client.append(made.location, 5, b"67890", complete=True).status == 200


def test_an_end_too_early(client: Client) -> None:
    """A last body in chunks that is too short: what came is kept, and it is not complete."""
    made = client.begin(b"12345", Upload_Length=10)
    said = client.fields(True, 5, Content_Type=PARTIAL)
    refused = client.in_chunks("PATCH", made.location, said, b"678")
    refused.problem(400, "inconsistent-upload-length")
    assert refused["Upload-Complete"] == "?0"
    assert client.state(made.location) == (8, False)
    assert client.append(made.location, 8, b"90", complete=True).status == 200


def test_a_length_that_is_said_later(client: Client) -> None:
    """It counts from then on."""
    made = client.begin(b"12")
    assert client.append(made.location, 2, b"3", Upload_Length=5).status == 204
    assert client.look(made.location)["Upload-Length"] == "5"
    client.append(made.location, 3, b"4", Upload_Length=6).problem(
        400, "inconsistent-upload-length"
    )


def test_the_last_answer_again(each: Client) -> None:
    """Who did not get it asks for it once more."""
    path = fresh_key()
    made = each.begin(b"12", path)
    first = each.append(made.location, 2, b"3", complete=True)
    again = each.append(made.location, 3, b"", complete=True)
    assert (again.status, again.body) == (first.status, first.body) == (200, first.body)
    assert again["ETag"] == first["ETag"]
    assert each.fields(complete=True).items() <= dict(again.headers).items()
    said = each.fields(True, 3, Content_Type=PARTIAL)
    assert each.in_chunks("PATCH", made.location, said).status == 200


def test_a_silent_end_of_what_is_complete(narrow: Client) -> None:
    """Who says neither more nor that this was all is not waited for for ever."""
    made = narrow.begin(b"12")
    assert narrow.append(made.location, 2, b"3", complete=True).status == 200
    said = narrow.fields(True, 3, Content_Type=PARTIAL) | {"Transfer-Encoding": "chunked"}
    with narrow.open("PATCH", made.location, said) as line:
        line.reply().problem(408)


def test_more_of_what_is_complete(each: Client) -> None:
    """It is refused for good, and nothing changes."""
    path = fresh_key()
    made = each.begin(b"12", path)
    each.append(made.location, 2, b"3", complete=True)
    kind = "completed-upload" if each.version in COMPLETE_PROBLEM else None
    for offset, body, complete in (
        (3, b"4", True),
        (3, b"", False),
        (2, b"3", True),
        (0, b"", True),
    ):
        refused = each.append(made.location, offset, body, complete=complete)
        refused.problem(409, kind)
        assert each.fields(complete=True).items() <= dict(refused.headers).items()
    said = each.fields(True, 3, Content_Type=PARTIAL)
    each.in_chunks("PATCH", made.location, said, b"4").problem(409, kind)
    assert get(each.daemon, path).body == b"123"


def test_what_nobody_began(client: Client) -> None:
    """There is no such upload, whatever is asked."""
    for upload in ("00000000-0000-4000-8000-000000000000", "x", "..", "%00", "a" * 600):
        location = f"/files/{upload}"
        for method in ("HEAD", "PATCH", "DELETE", "GET"):
            fields = client.fields(False, 0, Content_Type=PARTIAL) if method == "PATCH" else {}
            body = b"x" if method == "PATCH" else None
            answer = client.ask(method, location, fields, body)
            assert answer.status in (400, 404), (method, upload, answer)
            assert "Upload-Offset" not in answer.headers


def test_other_methods(client: Client) -> None:
    """They are named."""
    made = client.begin(b"1")
    for method in ("PUT", "POST", "TRACE"):
        refused = client.ask(method, made.location, client.fields(), b"x")
        assert refused.status == 405, method
        assert "PATCH" in (refused["Allow"] or "")
    assert client.state(made.location) == (1, False)
