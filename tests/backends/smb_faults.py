"""Connections to a share that are lost at a certain message."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from filepipe_backends.smb import SmbShelf
from filepipe_backends.smb_wire import Wire
from tests.smbd import Smbd


class Loss:
    """The connection is lost at the `number`th message from now on: unsent, or unanswered."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.real = Wire.send
        self.lost = 0
        self._number = 0
        self._sent = False
        self._lock = threading.Lock()
        loss = self

        def send(wire: Wire, message: Any, *args: Any, **more: Any) -> Any:
            return loss(wire, message, *args, **more)

        patch.setattr(Wire, "send", send)

    def at(self, number: int, *, sent: bool) -> None:
        """Lose it there, once."""
        self._number, self._sent, self.lost = number, sent, 0

    def __call__(self, wire: Wire, message: Any, *args: Any, **more: Any) -> Any:
        with self._lock:
            self._number -= 1
            due = self._number == 0
        if not due:
            return self.real(wire, message, *args, **more)
        self.lost += 1
        if self._sent:
            self.real(wire, message, *args, **more)
        wire.cut()
        raise ConnectionError("lost on purpose")


def shelf_on(samba: Smbd, tmp_path: Path, port: int | None = None) -> Callable[[], SmbShelf]:
    """Open a shelf in a folder of the test's own."""
    folder = f"{tmp_path.parent.name}-{tmp_path.name}"
    return lambda: SmbShelf(samba.location(folder, port=port), tmp_path / "own")
