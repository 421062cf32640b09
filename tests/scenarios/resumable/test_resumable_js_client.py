"""tus-js-client in the versions of the draft that it speaks: uploads, is cut, goes on."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.resumable.peer import MIB, Client, body_of, fresh_key, get
from tests.scenarios.tus import test_tus_js_client
from tests.scenarios.tus.cutting import cutting

DATA = body_of(3 * MIB + 1)  # of whole chunks the client does not know the last one
Run = Callable[..., dict[str, Any]]

modules = test_tus_js_client.modules
"""The client, fetched once for both."""


@pytest.fixture(params=["ietf-draft-03", "ietf-draft-05"])
def run(request: pytest.FixtureRequest, modules: Path, tmp_path: Path) -> Run:
    """Upload the data in a version, with these options; what the script prints at the end."""
    file = tmp_path / "data"
    file.write_bytes(DATA)

    def upload(**options: Any) -> dict[str, Any]:
        said = json.dumps({"protocol": request.param, **options})
        done = subprocess.run(
            ["node", str(test_tus_js_client.HERE / "upload.cjs"), str(file), said],
            env={**os.environ, "NODE_PATH": str(modules)},
            capture_output=True, text=True, timeout=50, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return upload


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
    assert proxy.sent < len(DATA) + 2 * MIB  # else it began anew
    assert get(client.daemon, path).body == DATA
