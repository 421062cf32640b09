"""The short way of a request's line writes what the general way would have written."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from filepipe.logs import get_logger, log_request
from filepipe.logs.render import MAX_LINE
from tests.logs.conftest import Log

WHEN = "2026-01-02T03:04:05.678Z"

Values = tuple[str, str, str, str, int, tuple[int, int], float]


@pytest.fixture
def one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still."""
    monkeypatch.setattr("filepipe.logs.requests.timestamp", lambda: WHEN)
    monkeypatch.setattr("filepipe.logs.render.timestamp", lambda: WHEN)


@pytest.fixture
def log(configured: Callable[..., Log], one_moment: None) -> Iterator[Log]:
    """A log of JSON lines."""
    return configured()


def taken(log: Log) -> bytes:
    """What was written since the last look."""
    data = log.raw.getvalue()
    log.raw.seek(0)
    log.raw.truncate()
    return data


def generally(values: Values) -> None:
    """The same line by the way of all others."""
    request_id, remote, method, path, status, size, seconds = values
    get_logger("filepipe.access").info(
        "request", request_id=request_id, remote=remote, method=method, path=path, status=status,
        bytes_in=size[0], bytes_out=size[1], seconds=round(seconds, 6),
    )  # fmt: skip


def values(path: str = "/k", remote: str = "::1", method: str = "GET") -> Values:
    """A request like any other."""
    return ("1f-7", remote, method, path, 200, (5, 10**15), 0.0123456789)


_texts = st.one_of(
    st.text(st.characters(codec=None), max_size=40),
    st.text(
        st.sampled_from("\0\t\n\r\x1b\x7f\x85\u2028\u202e\"'\\/<>?&=@:%~é\udc80🙂 ab"), max_size=40
    ),
    st.sampled_from(
        ["/a?token=x", "http://me:pw@host/", "Bearer abcdef", "basic dXNlcg==", "%41/%c3%a9", ""]
    ),
    st.builds(
        lambda char, size: char * size,
        st.sampled_from(["a", "/", "\0", "é", "🙂", '"', "\\", "%", "a b"]),
        st.sampled_from([100, 255, 511, 512, 513, 1023, 1024, 1025, 1500, 1700, 2100, 9000]),
    ),
)
_seconds = st.floats(0, 1e6) | st.sampled_from(
    [0.0, 1e-7, 5e-7, 1e-6, 0.00001, 1.0, 123456.7890123]
)


@given(
    texts=st.tuples(_texts, _texts, _texts),
    status=st.sampled_from([200, 404, 499, 503]),
    size=st.tuples(st.integers(0, 2**63), st.integers(0, 2**63)),
    seconds=_seconds,
)
@example(("127.0.0.1", "GET", "/k"), 200, (0, 10), 0.001)
@example(("127.0.0.1", "GET", "/" + "k" * 1500), 200, (0, 10), 0.001)
@example(("127.0.0.1", "GET", "/" + "é" * 1500), 200, (0, 10), 0.001)
@settings(
    max_examples=400,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_same_line(
    log: Log, texts: tuple[str, str, str], status: int, size: tuple[int, int], seconds: float
) -> None:
    """Byte for byte, and never more than a line may have."""
    request = ("1f-7", texts[0], texts[1], texts[2], status, size, seconds)
    log_request(*request)
    short = taken(log)
    generally(request)
    assert short == taken(log)
    assert len(short) <= MAX_LINE + 1
    assert short.isascii()
    assert short.count(b"\n") == 1
    assert not any(byte < 32 or byte == 127 for byte in short[:-1])


def test_the_fields(log: Log) -> None:
    """Their names, their order and their kinds."""
    log_request(*values())
    (event,) = log.events()
    assert list(event.items()) == [
        ("timestamp", WHEN), ("level", "info"), ("event", "request"), ("logger", "filepipe.access"),
        ("request_id", "1f-7"), ("remote", "::1"), ("method", "GET"), ("path", "/k"),
        ("status", 200), ("bytes_in", 5), ("bytes_out", 10**15), ("seconds", 0.012346),
    ]  # fmt: skip
    assert math.isclose(json.loads(log.lines()[0])["seconds"], 0.012346)


@pytest.mark.parametrize(
    "path", ["/k", "/k k", '/"', "/\x1b[31m", "/\n", "/\udc80", "/" + "k" * 9000]
)
def test_for_people(configured: Callable[..., Log], one_moment: None, path: str) -> None:
    """On a console it is the line that the general way writes, whatever the path holds."""
    log = configured(fmt="console")
    log_request(*values(path))
    short = taken(log)
    generally(values(path))
    assert short == taken(log)
    assert short.startswith(b"03:04:05.678 info     request logger=filepipe.access request_id=1f-7")
    assert b" status=200 bytes_in=5 " in short
    assert short.count(b"\n") == 1


@pytest.mark.parametrize("fmt", ["json", "console"])
@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_levels(configured: Callable[..., Log], level: str, fmt: str) -> None:
    """A request is news of level info: it is not told where only worse is wanted."""
    log = configured(level, fmt)
    log_request(*values())
    log_request(*values("/not so plain"))
    assert len(log.lines()) == (2 if level in ("debug", "info") else 0)
