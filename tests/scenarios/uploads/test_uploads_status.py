"""Status, list, tokens, health, CORS, and what is no route: the rest of the wire tables."""

from __future__ import annotations

import re

import pytest

from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.uploads.api import Api

BODY = body_of(2 * MIB + MIB // 2)
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_the_status(each: Api) -> None:
    """Every field of every generation, with `parts` unless they are refused."""
    made = each.begin(BODY, "folder/name.bin")
    made.put(1)
    status = made.status()
    dates = {status.pop("created_at"), status.pop("expires_at")}
    uploaded_at = status["parts"][1].pop("uploaded_at")
    assert all(DATE.fullmatch(date) for date in (*dates, uploaded_at))
    pending = {"status": "pending", "checksum_sha256": None, "uploaded_at": None}
    stored = {"status": "uploaded", "checksum_sha256": sha(made.piece(1))}
    assert status == {
        "file_id": made.id,
        "filename": "name.bin",
        "path": "folder/name.bin",
        "total_size": len(BODY),
        "chunk_size": made.size,
        "total_parts": 3,
        "uploaded_parts": 1,
        "status": "pending",
        "phase": "uploading",
        "upload_progress_percent": pytest.approx(100 / 3),
        "progress_percent": pytest.approx(100 / 3),
        "finalizing_progress_percent": 0,
        "finalization_error": None,
        "storage_backend": "local",
        "final_path": None,
        "replaced_at": None,
        "parts": [{"part": 0, **pending}, {"part": 1, **stored}, {"part": 2, **pending}],
    }


def test_parts_are_included_or_not(api: Api) -> None:
    """Two words are understood, and the key is always there."""
    made = api.begin(BODY)
    assert made.status("?include_parts=false")["parts"] is None
    assert len(made.status("?include_parts=true")["parts"]) == 3
    for word in ("1", "TRUE", "", "no"):
        path = f"/upload/{made.id}/status?include_parts={word}"
        api.ask("GET", path).refused(400, "bad_request")


def test_a_full_upload_is_pending_until_it_is_completed(api: Api) -> None:
    """All parts are one thing, the end is another."""
    made = api.begin(BODY)
    made.put_all()
    status = made.status()
    assert (status["status"], status["upload_progress_percent"]) == ("pending", 100.0)
    made.complete()
    status = made.status()
    assert (status["status"], status["phase"]) == ("complete", "complete")
    assert (status["finalizing_progress_percent"], status["finalization_error"]) == (100, None)
    assert status["final_path"]


def test_a_status_by_head(api: Api) -> None:
    """No body."""
    reply = api.ask("HEAD", f"/upload/{api.begin(BODY).id}/status")
    assert (reply.status, reply.body) == (200, b"")


def test_tokens_are_issued_anew(each: Api) -> None:
    """For the parts that are missing, and they work."""
    made = each.begin(BODY)
    made.put(1)
    answer = each.ask("POST", f"/upload/{made.id}/tokens").json
    assert set(answer) == {"file_id", "parts", "expires_at"}
    assert [part["part"] for part in answer["parts"]] == [0, 2]
    for part in answer["parts"]:
        assert made.put(part["part"], token=part["token"]).status == 200
    assert each.ask("POST", f"/upload/{made.id}/tokens").json["parts"] == []
    made.complete()
    each.ask("POST", f"/upload/{made.id}/tokens").refused(409, "conflict")


def test_the_list(each: Api) -> None:
    """The newest first, page by page, none lost although they began in the same second."""
    made = [each.begin(bytes(number)) for number in range(7)]
    seen: list[str] = []
    after = ""
    while page := each.ask("GET", f"/upload?limit=3{after}").json["uploads"]:
        assert {"file_id", "filename", "path", "total_size", "status", "created_at"} <= set(page[0])
        seen += [upload["file_id"] for upload in page]
        after = f"&before={seen[-1]}"
    assert seen[:7] == [upload.id for upload in reversed(made)]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=0", 400),
        ("limit=1001", 400),
        ("limit=x", 400),
        ("limit=-1", 400),
        ("before=2026-01-01T00:00:00Z", 404),
        ("before=00000000-0000-4000-8000-000000000000", 404),
        ("limit=1&limit=1", 400),
        ("%zz", 400),
    ],
)
def test_pages_that_there_are_not(api: Api, query: str, status: int) -> None:
    """A page is refused in words."""
    api.ask("GET", f"/upload?{query}").refused(status)


@pytest.mark.parametrize("way", ["listener", "prefix"])
def test_health(api: Api, way: str) -> None:
    """It needs no key, tells no secret, and says the words that scripts look for."""
    there = api if way == "listener" else Api(api.daemon, 0, "/-/uploads")
    for method in ("GET", "HEAD"):
        assert there.call(method, "/health").status == 200
    assert there.call("GET", "/health").json == {
        "status": "OK",
        "storage": {"backend_type": "local", "status": "healthy", "message": None},
    }
    there.call("PUT", "/health").refused(405)


@pytest.mark.parametrize(
    "path",
    [
        "/upload/init",
        "/upload/00000000-0000-4000-8000-000000000000/part/0",
        "/upload/x/complete",
        "/upload",
    ],
)
def test_a_browser_may_ask(each: Api, path: str) -> None:
    """The preflight names what clients send: a star would not cover Authorization."""
    asked = {"Origin": "https://example.com", "Access-Control-Request-Method": "PUT"}
    reply = each.call("OPTIONS", path, headers=asked)
    assert reply.status == 200
    allowed = reply.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "X-API-Key", "Content-Type"} <= set(allowed)
    assert {"PUT", "POST", "DELETE"} <= set(
        reply.headers["Access-Control-Allow-Methods"].split(", ")
    )
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert int(reply.headers["Access-Control-Max-Age"]) > 0


def test_a_browser_may_read_every_answer(api: Api) -> None:
    """Good ones, refusals and contents."""
    made = api.upload(b"x")
    replies = [
        made.complete(), made.put(0), made.content(), api.call("GET", "/upload"),
        api.call("GET", "/nowhere"), api.call("GET", "/health"),
    ]  # fmt: skip
    for reply in replies:
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
        assert reply.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/", 404, None),
        ("GET", "/nothing", 404, None),
        ("PUT", "/key", 404, None),
        ("GET", "/upload/init", 405, "POST, OPTIONS"),
        ("PUT", "/upload", 405, "GET, OPTIONS"),
        ("POST", "/upload", 405, "GET, OPTIONS"),
        ("PATCH", "/upload/x", 405, "DELETE, OPTIONS"),
        ("POST", "/upload/x/part/0", 405, "PUT, OPTIONS"),
        ("GET", "/upload/x/complete", 405, "POST, OPTIONS"),
        ("POST", "/upload/x/status", 405, "GET, OPTIONS"),
        ("GET", "/upload/x/part", 404, None),
        ("PUT", "/upload/x/part/0/1", 404, None),
        ("GET", "/upload/x/other", 404, None),
        ("GET", "/upload/", 404, None),
        ("POST", "/upload/init/", 404, None),
    ],
)
def test_what_is_no_route(api: Api, method: str, path: str, status: int, allow: str | None) -> None:
    """Unknown paths and wrong methods are refused in JSON."""
    reply = api.ask(method, path)
    reply.refused(status)
    assert reply.headers["Allow"] == allow


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_files_is_kept_for_later(shared_auto: Api, method: str) -> None:
    """What will be tus is neither a key nor an upload."""
    assert shared_auto.call(method, "/files/x").status in (400, 404)


@pytest.fixture
def shared_auto(api: Api) -> Api:
    """The root of the listener `auto`."""
    return Api(api.daemon, 0)
