"""The whole chain, from a call to the stream."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from filepipe.logs import configure, gathered, get_logger

CANARY = "canary7f3a"


def test_a_logger_may_be_older_than_the_set_up(configured: Callable[..., object]) -> None:
    """Modules make theirs when they are imported; a second set-up counts for it too."""
    log = get_logger("filepipe.old")
    first = configured()
    log.info("one", n=1)
    second = configured("warning")
    log.info("two")
    log.bind(request_id="r").warning("three")
    assert [event["event"] for event in first.events()] == ["one"]
    assert [(event["event"], event["request_id"]) for event in second.events()] == [("three", "r")]


def test_the_standard_library_goes_through_the_same_chain(
    configured: Callable[..., object],
) -> None:
    """Level, logger, arguments and exception arrive, in one line, without secrets."""
    log = configured()
    error = RuntimeError(f"token={CANARY}")
    logging.getLogger("asyncio").error("it %s", "failed\n", exc_info=error)
    logging.getLogger("aiohttp.server").debug("not this")
    logging.getLogger("odd").log(33, "between two levels")
    logging.getLogger("odd").warning("%d", "no number")
    first, second, third = log.events()
    assert (first["level"], first["logger"], first["event"]) == ("error", "asyncio", "it failed\n")
    assert "RuntimeError" in first["exception"]
    assert CANARY not in log.raw.getvalue().decode()
    assert (second["level"], second["event"]) == ("warning", "between two levels")
    assert third["event"] == "%d"


def test_a_flood_from_a_library_is_limited_by_its_message(
    configured: Callable[..., object],
) -> None:
    """Also when each line has other arguments."""
    log = configured()
    for number in range(100):
        logging.getLogger("asyncio").error("accept failed on %d", number)
    assert 10 <= len(log.lines()) <= 20


def test_a_second_set_up_does_not_double_the_lines(configured: Callable[..., object]) -> None:
    """There is one bridge from `logging`."""
    log = configured()
    configure("info", "json", log.stream)
    logging.getLogger("x").warning("once")
    assert len(log.lines()) == 1


def test_warnings_of_python_are_events(configured: Callable[..., object]) -> None:
    """They would be two raw lines on stderr otherwise."""
    log = configured()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert [event["logger"] for event in log.events()] == ["py.warnings"]


def test_auto_is_json_unless_a_terminal_reads(configured: Callable[..., object]) -> None:
    """A terminal gets lines for people."""
    log = configured(fmt="auto")
    get_logger("x").info("e")
    assert log.events()[0]["event"] == "e"

    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    raw = io.BytesIO()
    configure("info", "auto", Terminal(raw, encoding="utf-8"))
    get_logger("x").info("e")
    assert b" e logger=x\n" in raw.getvalue()


def test_the_console_format_can_be_asked_for(configured: Callable[..., object]) -> None:
    """Also where nobody sits at a terminal; then it has no colours."""
    log = configured(fmt="console")
    get_logger("x").info("e", a="b c")
    assert log.lines()[0].endswith('info     e logger=x a="b c"')


def test_the_journal_is_known_by_its_inode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: Callable[..., object]
) -> None:
    """A terminal that inherited the variable from a session is not the journal."""
    configured()
    seen = []
    with (tmp_path / "journal").open("w") as stream:
        status = os.fstat(stream.fileno())
        for inode in (status.st_ino, status.st_ino + 1):
            monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{inode}")
            configure("info", "console", stream)
            get_logger("x").info("e")
    seen = (tmp_path / "journal").read_text().splitlines()
    assert [line.startswith("<6>e") for line in seen] == [True, False]


def test_a_log_that_cannot_be_written_stops_nothing(configured: Callable[..., object]) -> None:
    """The stream is closed, or its reader has left."""
    configured().stream.close()
    get_logger("x").info("nobody hears this")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", closefd=True) as stream:
        configure("info", "json", stream)
        get_logger("x").info("nor this")
        # What the buffer still holds must not be written when it is closed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)


def test_a_log_that_nobody_reads_stops_nothing(configured: Callable[..., object]) -> None:
    """Who reads it later is told how much is missing."""
    configured()
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w") as stream:
        configure("info", "json", stream)
        for number in range(2000):
            get_logger(f"x{number % 100}").info("e", text="x" * 100)
        os.read(reading, 1 << 20)
        get_logger("x").info("again")
        lines = [json.loads(reader.readline()) for _ in range(2)]
    assert [line["event"] for line in lines] == ["again", "log lines dropped"]
    assert lines[-1]["lines"] > 100


def test_a_closed_stderr_is_no_log(
    monkeypatch: pytest.MonkeyPatch, configured: Callable[..., object]
) -> None:
    """Python has none then."""
    configured()
    monkeypatch.setattr(sys, "stderr", None)
    configure()
    get_logger("x").info("nobody hears this")


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_no_secret_reaches_the_stream(fmt: str, configured: Callable[..., object]) -> None:
    """In whichever way it is logged."""
    log = configured("debug", fmt)
    logger = get_logger("x").bind(token=CANARY)
    logger.info(f"GET /k?token={CANARY}", headers={"Authorization": CANARY})
    logger.debug("forward", url=f"https://u:{CANARY}@h/p?sig={CANARY}")
    error = ValueError(f"https://h/p?sig={CANARY} api_key={CANARY}")
    logger.error("failed", exc_info=error, reason=error, seen=f"Bearer {CANARY}".encode())
    assert len(log.lines()) >= 3
    assert CANARY not in log.raw.getvalue().decode()


def test_gathered_lines_are_written_when_they_are_scheduled(
    configured: Callable[..., object],
) -> None:
    """One call for many lines, in their order; what is left goes out at the end."""
    log = configured()
    calls: list[Callable[[], None]] = []
    with gathered(calls.append):
        get_logger("x").info("one")
        get_logger("x").info("two")
        assert (log.lines(), len(calls)) == ([], 1)
        calls.pop()()
        assert [event["event"] for event in log.events()] == ["one", "two"]
        get_logger("x").info("three")
    assert [event["event"] for event in log.events()] == ["one", "two", "three"]
    get_logger("x").info("four")
    assert len(log.lines()) == 4


def test_gathered_lines_are_never_too_many(configured: Callable[..., object]) -> None:
    """A burst between two turns of the loop is written before it is all of the memory."""
    log = configured()
    with gathered(lambda _: None):
        for number in range(600):
            get_logger("x").info("e", n=number)
        assert len(log.lines()) == 512


def test_other_threads_do_not_wait_for_the_one_that_gathers(
    configured: Callable[..., object],
) -> None:
    """Their lines go straight out, and none is lost."""
    log = configured()
    with gathered(lambda _: None):
        get_logger("x").info("mine")
        other = threading.Thread(target=lambda: get_logger("x").info("theirs"))
        other.start()
        other.join()
        assert [event["event"] for event in log.events()] == ["theirs"]
    assert [event["event"] for event in log.events()] == ["theirs", "mine"]


def test_gathering_without_a_set_up_does_nothing() -> None:
    """There is no stream yet, or it is not ours."""
    with gathered(lambda _: None):
        pass
