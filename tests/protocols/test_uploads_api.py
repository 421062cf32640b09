"""The JSON of uploads: every field that a client of any generation reads, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.errors import BadRequest, DiskFull, FilepipeError, Unprocessable
from filepipe.protocols import uploads_api as api
from filepipe.records.uploads import Part, Upload

HASH = "ab" * 32
UPLOAD = Upload(
    id="an-id", principal="me", filename="name", folder="a/b", storage="local", handle="h",
    front="uploads", key=None, notes="{}", total_size=25, offset=None, chunk_size=10,
    total_parts=3, status="pending", unique=True,
    checksum_sha256=None, webhook_url=None, final_path=None, error=None, progress=0,
    created=0.0, active=0.0, expires=86400.9,
)  # fmt: skip

VALUES = st.sampled_from([None, True, -1, 0, 7, 10**30, 1.5, "", "text", "\ud800", [], {}])
FIELDS = [
    "filename", "total_size", "checksum_sha256", "webhook_url", "overwrite", "storage", "path",
    "other",
]  # fmt: skip


def parsed(**fields: Any) -> api.Init:
    """What is understood of these fields beside a good name and size."""
    return api.parse_init(json.dumps({"filename": "f", "total_size": 1, **fields}).encode())


def test_what_is_understood() -> None:
    """All fields, or the two that have to be there."""
    whole = parsed(
        checksum_sha256=HASH.upper(),
        webhook_url="https://x",
        overwrite=True,
        storage="s3",
        path="a",
    )
    assert whole == api.Init("f", 1, HASH, "https://x", unique=False, storage="s3", path="a")
    least = parsed()
    assert least == api.Init("f", 1, None, None, unique=None, storage=None, path=None)
    nothing = dict.fromkeys(("checksum_sha256", "webhook_url", "overwrite", "storage", "path"))
    assert parsed(**nothing, x=1) == least


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_any_object(fields: dict[str, Any]) -> None:
    """It is understood, or refused in one sentence that names a field."""
    body = json.dumps(fields).encode()
    good = isinstance(fields.get("filename"), str) and fields.get("total_size") in (0, 7, 10**30)
    good = good and type(fields["total_size"]) is int
    good = good and fields.get("overwrite") in (None, True)
    if good and not {"checksum_sha256", "webhook_url"} & set(fields):
        init = api.parse_init(body)
        assert (init.filename, init.total_size) == (fields["filename"], fields["total_size"])
    elif not good:
        with pytest.raises((BadRequest, Unprocessable)) as refused:
            api.parse_init(body)
        assert any(name in str(refused.value) for name in FIELDS)


@given(st.binary(max_size=60))
def test_any_bytes(body: bytes) -> None:
    """Nothing but the two refusals leaves."""
    with pytest.raises((BadRequest, Unprocessable)):
        api.parse_init(body)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"total_size":' + b"1" * 5000 + b"}", b"\xff"])
def test_what_is_hard_to_read(body: bytes) -> None:
    """Deep, long, no text: no JSON, as far as we are concerned."""
    with pytest.raises(BadRequest):
        api.parse_init(body)


def test_the_status_of_each_part() -> None:
    """In order, with holes; the percentages are of 100."""
    here = [Part(2, 5, HASH, 1.0)]
    answer = api.status_answer(UPLOAD, 1, here, 7)
    assert [part["status"] for part in answer["parts"]] == ["pending", "pending", "uploaded"]
    assert answer["parts"][2] == {
        "part": 2, "status": "uploaded", "checksum_sha256": HASH,
        "uploaded_at": "1970-01-01T00:00:01Z",
    }  # fmt: skip
    assert answer["upload_progress_percent"] == answer["progress_percent"] == pytest.approx(100 / 3)
    assert answer["finalizing_progress_percent"] == 7
    assert api.status_answer(UPLOAD, 1, None, 7)["parts"] is None


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("pending", "uploading"),
        ("finalizing", "finalizing"),
        ("complete", "complete"),
        ("failed", "failed"),
    ],
)
def test_the_phase(status: Any, phase: str) -> None:
    """It follows the status; what is complete is finalized to 100."""
    answer = api.complete_answer(replace(UPLOAD, status=status), 7)
    assert (answer["status"], answer["phase"]) == (status, phase)
    assert answer["finalizing_progress_percent"] == (100 if status == "complete" else 7)


def test_nothing_is_no_division_by_zero() -> None:
    """An upload without parts has a percentage all the same."""
    empty = replace(UPLOAD, total_size=0, total_parts=0)
    assert api.status_answer(empty, 0, [], 0)["upload_progress_percent"] == 0.0


def test_tokens() -> None:
    """Of all parts at the beginning, of those that are missing later."""
    init = api.init_answer(UPLOAD, ["x", "y", "z"])
    assert init["parts"][1] == {"part": 1, "token": "y", "status": "pending"}
    assert init["expires_at"] == "1970-01-02T00:00:00Z"
    again = api.tokens_answer(UPLOAD, [0, 2], ["x", "z"])
    assert [part["part"] for part in again["parts"]] == [0, 2]


def test_what_is_not_told() -> None:
    """Handle and principal are ours."""
    for answer in (
        api.status_answer(UPLOAD, 0, [], 0), api.listing_answer([UPLOAD])["uploads"][0],
    ):  # fmt: skip
        assert not {"handle", "principal"} & set(answer)
        assert answer["path"] == "a/b/name"


@pytest.mark.parametrize("error", [BadRequest("a sentence"), DiskFull("a sentence")])
def test_a_refusal(error: FilepipeError) -> None:
    """`error` is a text, as every client expects."""
    answer = api.error_answer(error, 507)
    assert answer == {"error": "a sentence", "status": 507, "code": error.code}
