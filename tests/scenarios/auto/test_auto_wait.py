"""How long a GET waits for its writer, and who decides that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Daemon, curl, eventually, start_curl
from tests.scenarios.answers import ask, assert_refused, raw, talk, upload

Start = Callable[..., Daemon]
PATIENT = 1000
"""Seconds of a wait that no test sees the end of."""


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon whose readers wait for long."""
    daemon = Daemon(["--wait", str(PATIENT)], tmp_path_factory.mktemp("patient"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.mark.parametrize(
    "asked",
    [("?wait=0",), ("?wait=0s",), ("?wait=0.1",), ("?wait=100ms",),
     ("", "--header", "Prefer: wait=0"), ("", "--header", "Prefer: respond-async, WAIT=0"),
     ("", "--header", "Prefer: respond-async", "--header", "Prefer: wait=0"),
     ("?wait=0", "--header", "Prefer: wait=1000")],
)  # fmt: skip
def test_less_than_the_default(patient: Daemon, path: str, asked: tuple[str, ...]) -> None:
    """A request may wait for less; the query beats the preference."""
    query, *arguments = asked
    assert_refused(ask(patient, f"{path}{query}", *arguments), 404, "key not found")


@pytest.mark.parametrize("asked", ["?wait=60", "?wait=1m", "?wait=1h", "?wait=0.5h"])
@pytest.mark.parametrize("size", [5, 300_000])
def test_more_than_the_default(shared: Daemon, path: str, asked: str, size: int) -> None:
    """A request may wait for more, up to the limit, and is served when its writer comes."""
    waiting = start_curl(shared.url(f"{path}{asked}"))
    preferring = start_curl("--header", "Prefer: wait=99999", shared.url(path))
    eventually(lambda: shared.state()["waiting_readers"] == 2)
    assert upload(shared, path, bytes(size)).status == 200
    for reader in (waiting, preferring):
        assert reader.communicate(timeout=30)[0] == bytes(size)
    assert shared.state()["waiting_readers"] == 0


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("wait=61m", "wait exceeds the maximum of 1 hour\n"),
        ("wait=1e3", "wait is not a duration such as 30, 30s, 5m or 1.5h\n"),
        ("wait=-1", "wait is not a duration such as 30, 30s, 5m or 1.5h\n"),
        ("wait=inf", "wait is not a duration such as 30, 30s, 5m or 1.5h\n"),
        ("wait=nan", "wait is not a duration such as 30, 30s, 5m or 1.5h\n"),
        ("wait", "wait is not a duration such as 30, 30s, 5m or 1.5h\n"),
        ("wait=5&wait=5", "query has a parameter twice\n"),
        ("wait=" + "9" * 400, "wait is not a duration such as 30, 30s, 5m or 1.5h\n"),
        ("wait=%D9%A5", "wait is not a duration such as 30, 30s, 5m or 1.5h\n"),
    ],
)
def test_a_wrong_wait(patient: Daemon, path: str, query: str, sentence: str) -> None:
    """An order that cannot be followed is refused."""
    answer = ask(patient, f"{path}?{query}")
    assert_refused(answer, 400)
    assert answer.text == sentence


@pytest.mark.parametrize("prefer", ["wait=x", "wait", 'wait="', "é", ",,,", 'a="' * 500])
def test_a_wrong_preference(shared: Daemon, path: str, prefer: str) -> None:
    """A preference that cannot be read is none (RFC 7240, 2)."""
    answer = ask(shared, path, "--header", f"Prefer: {prefer}")
    assert_refused(answer, 404)


def test_the_default(start: Start) -> None:
    """--wait is how long everybody waits who does not say."""
    daemon = start("--wait", "0.3")
    began = time.monotonic()
    assert_refused(ask(daemon, "/k"), 404, "key not found")
    assert time.monotonic() - began >= 0.3
    assert ask(daemon, "/k", "--header", "X: y").status == 404


def test_who_leaves_waits_no_more(patient: Daemon, path: str) -> None:
    """A reader that hangs up is forgotten, and the writer goes on without it."""
    readers = [start_curl(patient.url(f"{path}{query}")) for query in ("", "?wait=1h")]
    eventually(lambda: patient.state()["waiting_readers"] == 2)
    for reader in readers:
        reader.kill()
        reader.communicate()
    eventually(lambda: patient.state()["waiting_readers"] == 0)
    assert upload(patient, path, b"hello").status == 200
    assert curl(patient.url(path)).stdout == b"hello"


def test_everybody_who_waits_is_served(patient: Daemon, path: str) -> None:
    """One upload ends the wait of all."""
    waiting = [start_curl(patient.url(path)) for _ in range(12)]
    eventually(lambda: patient.state()["waiting_readers"] == len(waiting))
    upload(patient, path, b"hello")
    assert [reader.communicate(timeout=30)[0] for reader in waiting] == [b"hello"] * len(waiting)


@pytest.mark.parametrize("header", ["X: y", "Accept: */*"], ids=["general", "plain"])
def test_no_more_may_wait(start: Start, header: str) -> None:
    """--max-keys bounds the waiting readers: the next one is told to come again."""
    daemon = start("--max-keys", "2", "--wait", "60")
    waiting = [start_curl(daemon.url(f"/k{i}")) for i in range(2)]
    eventually(lambda: daemon.state()["waiting_readers"] == 2)
    answer = talk(daemon, raw("GET /k HTTP/1.1", header))
    assert_refused(answer, 503, "too many waiting readers")
    assert answer["Retry-After"] == "5"
    for reader in waiting:
        reader.kill()
        reader.communicate()
    daemon.assert_clean_log()
