"""tus-js-client, as its authors ship it, run by node: uploads, is cut in the middle, goes on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.mount import fresh
from tests.scenarios.peers import MIB, body_of
from tests.scenarios.tus import js_client
from tests.scenarios.tus.cutting import cutting
from tests.scenarios.tus.js_client import Run
from tests.scenarios.tus.wire import KEY, Upload, Wire

DATA = body_of(4 * MIB)


@pytest.fixture
def run(js_modules: Path, tmp_path: Path) -> Run:
    """Upload the data with the options that it is called with."""
    file = tmp_path / "data"
    file.write_bytes(DATA)
    return partial(js_client.run, js_modules, file, headers={"X-API-Key": KEY})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunkSize": MIB},
        {"uploadDataDuringCreation": True},
        {"overridePatchMethod": True, "chunkSize": 3 * MIB},
        {"uploadLengthDeferred": True, "chunkSize": MIB, "asBuffer": True},
        {"addRequestId": True},
    ],
)
def test_a_file_is_uploaded(wire: Wire, run: Run, options: dict[str, Any]) -> None:
    """In each of the client's ways."""
    name = fresh("js")
    answer = run(endpoint=wire.daemon.url("/files/"), metadata={"filename": name}, **options)
    assert answer["retries"] == 0
    assert (wire.root / name).read_bytes() == DATA


@pytest.mark.parametrize("options", [{}, {"chunkSize": MIB}])
def test_a_cut_upload_goes_on(wire: Wire, run: Run, options: dict[str, Any]) -> None:
    """Twice in the middle, and readers of the key see one body."""
    key = fresh("js")
    with cutting(wire.address, MIB, 5 * MIB // 2) as proxy:
        answer = run(endpoint=f"{proxy.url}/files/", metadata={"key": key}, **options)
    assert proxy.cut == 2
    assert answer["retries"] == 2
    assert proxy.sent < len(DATA) + 5 * MIB // 2  # else it began anew each time
    assert wire.call("GET", f"/{key}").body == DATA


def test_parts_are_uploaded_side_by_side(wire: Wire, run: Run) -> None:
    """And joined, although all of them were cut on the way."""
    key = fresh("js")
    with cutting(wire.address, 2 * MIB) as proxy:
        answer = run(
            endpoint=f"{proxy.url}/files/", metadata={"key": key}, parallelUploads=3, asBuffer=True
        )
    assert proxy.cut == 1
    assert wire.call("GET", f"/{key}").body == DATA
    upload = Upload(wire, "/files/" + answer["url"].rpartition("/")[2])
    assert upload.head().done(200).headers["Upload-Concat"].startswith("final;")
    assert upload.get().body == DATA


def test_an_upload_goes_on_by_its_url(wire: Wire, run: Run) -> None:
    """Of a client that was started anew."""
    upload = wire.create(len(DATA))
    upload.patch(DATA[:MIB], 0).done(204)
    answer = run(uploadUrl=wire.daemon.url(upload.path))
    assert answer["url"].endswith(upload.path)
    assert upload.get().body == DATA
