"""What is going on with uploads, in numbers: for the metrics, and for a drain to wait for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from filepipe.errors import Draining


class UploadActivity:
    """Counters that the engine keeps; the daemon reads them, and says when it goes down."""

    def __init__(self) -> None:
        self.open = 0
        """Uploads that are not complete."""
        self.stored = 0
        """Parts that were stored since the start."""
        self.busy = 0
        """Parts that are being received, uploads being finished, finished ones being read."""
        self.draining = False
        """Whether nothing new is to begin."""

    def check_draining(self) -> None:
        """Raise `Draining` where nothing new is to begin."""
        if self.draining:
            raise Draining("server is shutting down")

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Count what happens inside as something that is worth waiting for."""
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1
