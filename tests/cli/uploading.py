"""A shell at a daemon that takes uploads, and what is there."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.cli.shell import Shell
from tests.conftest import Daemon

KEY = "an-api-key-of-thirty-two-bytes-or-more"
MIB = 1024 * 1024


class UploadShell(Shell):
    """Has the API key in its environment, and its own notes."""

    def __init__(self, folder: Path, daemon: Daemon) -> None:
        super().__init__(folder, daemon.url())
        self.root = daemon.data_dir / "filepipe" / "uploads"
        self.environment["FILEPIPE_API_KEY"] = KEY
        self.environment["XDG_STATE_HOME"] = str(folder / "state")

    def notes(self) -> list[Path]:
        """What a later run would find."""
        return sorted((self.folder / "state").rglob("*.json"))

    def ask(self, path: str, wanted: object = None) -> Any:
        """What the server says, without a command in between."""
        headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
        data = None if wanted is None else json.dumps(wanted).encode()
        url = self.environment["FILEPIPE_URL"] + path
        request = urllib.request.Request(url, data, headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def told(self, *arguments: str) -> list[Any]:
        """The lines that `filepipe uploads` prints as JSON."""
        code, out, err = self.run("uploads", *arguments, "--json")
        assert (code, err) == (0, "")
        return [json.loads(line) for line in out.splitlines()]
