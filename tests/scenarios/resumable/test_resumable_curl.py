"""The script of the reference, as it is written there, and curl alone."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

from tests.conftest import curl_command, eventually
from tests.scenarios.peers import MIB, body_of
from tests.scenarios.resumable.peer import Client, fresh_key, get

PAGE = (Path(__file__).parents[3] / "docs/reference/resumable.md").read_text()
SCRIPT = re.findall(r"^```sh\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_script(client: Client, tmp_path: Path) -> None:
    """It ends although somebody ends each of its requests, and the bytes are those of the file."""
    curl_command()
    (script,) = SCRIPT
    path, body = fresh_key(), body_of(40 * MIB)
    (tmp_path / "big.mov").write_bytes(body)
    script = script.replace("http://HOST:3000", client.daemon.url()).replace("/big.mov", path)
    script = script.replace("--fail", "--fail --max-time 30 --limit-rate 80M")
    script = script.replace("offset()", 'echo "$AT" > at; offset()')
    running = subprocess.Popen(
        ["sh", "-eu", "-c", script], cwd=tmp_path, env={"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    here = 0
    for _ in range(2):
        eventually(lambda here=here: reached(client, path) > here)
        location = (tmp_path / "at").read_text().strip().removeprefix(client.daemon.url())
        here, complete = client.state(location)
        assert not complete
    said, trouble = running.communicate(timeout=50)
    assert running.returncode == 0, trouble
    assert said.decode() == client.daemon.url(path) + "\n"
    found = get(client.daemon, path)
    assert hashlib.sha256(found.body).digest() == hashlib.sha256(body).digest()
    assert client.state(location) == (len(body), True)


def reached(client: Client, path: str) -> int:
    """How much of a key is here."""
    found = client.ask("HEAD", path, {})
    return int(found["Upload-Offset"] or found["Content-Length"] or 0) if found.status == 200 else 0
