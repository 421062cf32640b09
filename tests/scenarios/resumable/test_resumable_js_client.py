"""tus-js-client in the versions of the draft that it speaks: uploads, is cut, goes on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.peers import MIB, body_of
from tests.scenarios.resumable.peer import Client, fresh_key, get
from tests.scenarios.tus import js_client
from tests.scenarios.tus.cutting import cutting
from tests.scenarios.tus.js_client import Run

DATA = body_of(3 * MIB + 1)  # of whole chunks the client does not know the last one


@pytest.fixture(params=["ietf-draft-03", "ietf-draft-05"])
def run(request: pytest.FixtureRequest, js_modules: Path, tmp_path: Path) -> Run:
    """Upload the data in a version, with the options that it is called with."""
    file = tmp_path / "data"
    file.write_bytes(DATA)
    return partial(js_client.run, js_modules, file, protocol=request.param)


@pytest.mark.parametrize("options", [{}, {"uploadDataDuringCreation": True}, {"chunkSize": MIB}])
def test_a_file_is_uploaded(client: Client, run: Run, options: dict[str, Any]) -> None:
    """In each of the client's ways."""
    path = fresh_key()
    answer = run(endpoint=client.daemon.url(path), asBuffer=True, **options)
    assert answer["retries"] == 0
    assert client.state("/files/" + answer["url"].rpartition("/")[2]) == (len(DATA), True)
    assert get(client.daemon, path).body == DATA


def test_a_cut_upload_goes_on(client: Client, run: Run) -> None:
    """In the middle, behind what has come."""
    path = fresh_key()
    with cutting(client.daemon.address, 2 * MIB) as proxy:
        answer = run(endpoint=proxy.url + path, asBuffer=True)
    assert (proxy.cut, answer["retries"]) == (1, 1)
    assert proxy.sent < len(DATA) + 5 * MIB // 2  # else it began anew
    assert get(client.daemon, path).body == DATA
