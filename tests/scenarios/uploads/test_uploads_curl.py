"""Scripts of curl and a shell, as the reference shows them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import curl
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.uploads.api import KEY, Api

SCRIPT = r"""
set -eu
api() { curl -sS --fail --max-time 20 -H "X-API-Key: $KEY" "$@"; }
field() { "$PYTHON" -c "import json, sys; print(json.load(sys.stdin)$1)"; }
size=$(wc -c < file)
api -H 'Content-Type: application/json' "$URL/upload/init" \
  -d "{\"filename\": \"from/a shell\", \"total_size\": $size}" > init
id=$(field "['file_id']" < init)
chunk=$(field "['chunk_size']" < init)
for part in 2 0 1; do
  token=$(field "['parts'][$part]['token']" < init)
  dd if=file bs="$chunk" skip=$part count=1 2> /dev/null |
    curl -sS --fail --max-time 20 --retry 3 -T - -H "Authorization: Bearer $token" \
      "$URL/upload/$id/part/$part" > answer
done
api -X POST "$URL/upload/$id/complete" | field "['final_path']"
api "$URL/upload/$id/content" -o back
"""


def test_the_script(api: Api, tmp_path: Path) -> None:
    """Streamed parts in any order, then the end, then the whole again."""
    curl("--version")
    body = body_of(2 * MIB + 5000)
    (tmp_path / "file").write_bytes(body)
    environment = {
        "KEY": KEY,
        "URL": api.daemon.url("", 1),
        "PYTHON": sys.executable,
        "PATH": os.environ["PATH"],
    }
    command = ["sh", "-c", SCRIPT]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"from/a shell\n"
    assert sha((tmp_path / "back").read_bytes()) == sha(api.at("from/a shell")) == sha(body)


def test_a_download_goes_on(api: Api, tmp_path: Path) -> None:
    """What is there of a file is not fetched again."""
    made = api.upload(body_of(2 * MIB))
    file = tmp_path / "file"
    file.write_bytes(made.body[:MIB])
    url = api.daemon.url(f"/upload/{made.id}/content", 1)
    done = curl("--fail", "-C", "-", "-o", str(file), "-w", "%{size_download}",
                "-H", f"X-API-Key: {KEY}", url)  # fmt: skip
    assert done.stdout == str(MIB).encode()
    assert sha(file.read_bytes()) == sha(made.body)


def test_a_refused_part_costs_nothing(api: Api, tmp_path: Path) -> None:
    """curl asks before it sends a megabyte; with a bad token it sends nothing."""
    made = api.begin(body_of(MIB))
    file = tmp_path / "file"
    file.write_bytes(made.body * 8)
    done = curl("-T", str(file), "-H", "Authorization: Bearer x", "-H", "Expect: 100-continue",
                "-o", "/dev/null", "-w", "%{http_code} %{size_upload}",
                api.daemon.url(f"/upload/{made.id}/part/0", 1))  # fmt: skip
    assert done.stdout == b"401 0"
