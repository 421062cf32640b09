"""Complete and cancel: once, again, too early, in the middle, and what is left on the disk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import eventually, read_until
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.uploads.api import Api, fresh_name
from tests.scenarios.uploads.test_uploads_parts import head
from tests.scenarios.uploads.test_uploads_status import DATE

BODY = body_of(2 * MIB + MIB // 2)


def drafts(api: Api) -> list[Path]:
    """What there is in the daemon's own folder of unfinished uploads."""
    folder = api.daemon.data_dir / "filepipe" / "parts"
    return [path for path in folder.rglob("*") if path.name != ".lock"]


def test_the_answer(each: Api) -> None:
    """All that clients look for; the file is there under its own name, its bytes are right."""
    name = f"My Videos/{fresh_name()}"
    made = each.begin(BODY, name, checksum_sha256=sha(BODY).upper())
    made.put_all()
    reply = made.complete()
    assert reply.status == 200
    assert reply.json == {
        "file_id": made.id,
        "filename": name.partition("/")[2],
        "path": name,
        "total_size": len(BODY),
        "status": "complete",
        "phase": "complete",
        "final_path": name,
        "replaced_at": None,
        "storage_backend": "local",
        "finalizing_progress_percent": 100,
    }
    assert each.at(name) == BODY


def test_again(api: Api) -> None:
    """The same answer, however often it is asked for, and one file."""
    made = api.upload(BODY)
    first = made.complete()
    assert (first.status, made.complete().json) == (200, first.json)
    with ThreadPoolExecutor(8) as pool:
        other = api.begin(BODY)
        other.put_all()
        replies = list(pool.map(lambda _: other.complete(), range(8)))
    assert {reply.status for reply in replies} == {200}
    assert len({reply.json["final_path"] for reply in replies}) == 1


def test_a_hole(api: Api) -> None:
    """What is not whole is not finished, and says what is missing; then it is."""
    made = api.begin(BODY)
    assert made.complete().refused(400) == "Not all parts uploaded: 0/3 complete"
    made.put(0)
    made.put(2)
    assert made.complete().refused(400) == "Not all parts uploaded: 2/3 complete"
    assert made.status()["status"] == "pending"
    made.put(1)
    assert made.complete().status == 200


def test_nothing(api: Api) -> None:
    """An upload of no bytes is complete without a part, and is an empty file."""
    made = api.begin(b"")
    assert api.at(made.complete().json["final_path"]) == b""


def test_a_body_is_ignored(api: Api) -> None:
    """Clients send none, or an empty object, with any type."""
    made = api.begin(b"")
    path = f"/upload/{made.id}/complete"
    assert api.ask("POST", path, b"{}", {"Content-Type": "text/x"}).status == 200


def test_a_wrong_checksum_is_repaired(api: Api) -> None:
    """The upload fails, says why, publishes nothing; with the right bytes it is completed."""
    name = fresh_name()
    made = api.begin(BODY, name, checksum_sha256=sha(BODY))
    wrong = bytes([BODY[0] ^ 1]) + made.piece(0)[1:]
    made.put(0, wrong)
    made.put(1)
    made.put(2)
    said = made.complete().refused(422, "unprocessable")
    assert "SHA-256" in said
    status = made.status()
    assert (status["status"], status["phase"], status["finalization_error"]) == (
        "failed", "failed", said,
    )  # fmt: skip
    assert name not in api.names()
    made.put(0).refused(503)
    assert made.put(0).status == 200
    assert made.complete().json["final_path"] == name
    assert api.at(name) == BODY
    assert made.status()["finalization_error"] is None


def test_names_that_are_taken(api: Api) -> None:
    """A second file of a name gets another one; with `overwrite` it takes the first one's place."""
    name = fresh_name()
    api.upload(b"first", name)
    second = api.upload(b"second", name)
    final = second.status()["final_path"]
    assert final != name
    assert (api.at(name), api.at(final)) == (b"first", b"second")
    third = api.upload(b"third", name, overwrite=True)
    assert third.status()["final_path"] == name
    assert (api.at(name), api.at(final)) == (b"third", b"second")


def test_what_was_replaced(api: Api) -> None:
    """It says so wherever it is asked for, instead of being complete and nowhere."""
    name = fresh_name()
    first = api.upload(b"first", name)
    assert first.status()["replaced_at"] is None
    second = api.upload(b"second", name, overwrite=True)
    listed = {each["file_id"]: each for each in api.ask("GET", "/upload?limit=9").json["uploads"]}
    for said in (first.status(), first.complete().json, listed[first.id]):
        assert (said["status"], said["final_path"]) == ("complete", None)
        assert DATE.fullmatch(said["replaced_at"])
    assert "replaced" in first.content().refused(404, "not_found")
    assert second.status()["replaced_at"] is None
    assert first.cancel().status == 200
    assert second.content().body == b"second"


def test_a_name_below_a_file(api: Api) -> None:
    """The upload fails in words, and nothing is harmed."""
    name = fresh_name()
    api.upload(b"first", name)
    made = api.begin(b"second", f"{name}/below")
    made.put_all()
    made.complete().refused(422)
    assert made.status()["status"] == "failed"
    assert api.at(name) == b"first"


def test_cancelling(each: Api) -> None:
    """Everything of it goes; whoever asks afterwards hears 404."""
    made = each.begin(BODY)
    made.put(0)
    assert made.cancel().json == {
        "file_id": made.id,
        "status": "cancelled",
        "message": "Upload cancelled and cleaned up",
    }
    for reply in (made.cancel(), made.complete(), made.put(1), made.content()):
        reply.refused(404, "not_found")
    assert not [path for path in drafts(each) if made.id in path.name]


def test_cancelling_while_it_is_finished(odd: Api) -> None:
    """It is refused as long as that lasts; what comes of it is whole, and can be removed."""
    body = body_of(MIB) * 48
    for attempt in range(10):
        made = odd.begin(body, f"large {attempt}", checksum_sha256=sha(body))
        made.put_all()
        assert made.complete().status in (200, 202)
        reply = made.cancel()
        if reply.status == 409:
            break
    assert "finalizing" in reply.refused(409, "conflict")
    eventually(lambda: made.status()["status"] == "complete")
    assert sha(made.content().body) == sha(body)
    assert made.cancel().status == 200


def test_cancelling_what_is_complete(api: Api) -> None:
    """The finished file goes too."""
    made = api.upload(BODY)
    final = made.status()["final_path"]
    assert final in api.names()
    assert made.cancel().status == 200
    assert final not in api.names()


def test_cancelling_while_a_part_is_sent(api: Api) -> None:
    """The sender is told, and nothing of it comes back."""
    made = api.begin(BODY)
    piece = made.piece(0)
    with api.daemon.connect(head(made, 0, len(piece)) + piece[:1000], listener=1) as sender:
        eventually(lambda: made.put(0).status == 503)
        assert made.cancel().status == 200
        answer = read_until(sender, b"}")
    assert answer.startswith(b"HTTP/1.1 410 "), answer
    assert not [path for path in drafts(api) if made.id in path.name]
    api.ask("GET", f"/upload/{made.id}/status").refused(404)


def test_nothing_of_a_finished_upload_stays_in_the_way(api: Api) -> None:
    """Its draft goes with the answer."""
    made = api.upload(BODY)
    eventually(lambda: not [path for path in drafts(api) if made.id in path.name])


@pytest.mark.parametrize("what", ["status", "complete", "tokens", "content"])
def test_ids_of_nothing(api: Api, what: str) -> None:
    """An id of no upload, and what is no id at all, are 404 in JSON."""
    method = "GET" if what in ("status", "content") else "POST"
    for upload_id in ("00000000-0000-4000-8000-000000000000", "x", "..", "%2e%2e", "'", "%00"):
        api.ask(method, f"/upload/{upload_id}/{what}").refused(404)
