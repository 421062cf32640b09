"""A log that can be read, and no trace of it after the test."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from filepipe.logs import configure


class Log:
    """What was written to a stream that is no terminal."""

    def __init__(self) -> None:
        self.raw = io.BytesIO()
        self.stream = io.TextIOWrapper(self.raw, encoding="utf-8")

    def lines(self) -> list[str]:
        """The lines as they were written."""
        return self.raw.getvalue().decode().splitlines()

    def events(self) -> list[dict[str, Any]]:
        """The lines read as JSON."""
        return [json.loads(line) for line in self.lines()]


@pytest.fixture
def configured() -> Iterator[Callable[..., Log]]:
    """Set logging up for a stream of its own."""
    root = logging.getLogger()
    level_before, show = root.level, warnings.showwarning

    def configure_log(level: str = "info", fmt: str = "json") -> Log:
        log = Log()
        root.handlers.clear()  # pytest's own fail over records that cannot be formatted
        configure(level, fmt, log.stream)
        return log

    yield configure_log
    logging.captureWarnings(False)
    warnings.showwarning = show
    root.setLevel(level_before)
    for handler in [item for item in root.handlers if type(item).__module__.startswith("filepipe")]:
        root.removeHandler(handler)
    structlog.reset_defaults()
