"""The Nth system call of a transfer fails: a sentence or a cut, no hang, no part for the whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Daemon, curl
from tests.scenarios.faults import (
    BODY,
    Fault,
    NotTraced,
    assert_well,
    download,
    failing,
    met,
    upload,
)
from tests.scenarios.peers import put
from tests.scenarios.ways import WAYS, Way

SETTINGS = ("--retention", "0.1", "--wait", "1", "--spill-threshold", "64K", "--allow-delete")

OPENING = [Fault("openat", error) for error in ("EMFILE", "ENOSPC", "EIO")]
ROOM = [Fault("fallocate", error) for error in ("ENOSPC", "EIO")]
WRITING = [
    Fault("pwritev2", error, number, lasting)
    for error, number, lasting in [
        ("ENOSPC", 1, True), ("ENOSPC", 2, False), ("ENOSPC", 3, False), ("EIO", 1, False),
        ("EIO", 3, True),
    ]
]  # fmt: skip
MOVING = [
    Fault("splice", error, number, lasting)
    for error, number, lasting in [
        ("ENOSPC", 2, False), ("ENOSPC", 4, True), ("EIO", 1, False), ("EIO", 2, True),
    ]
] + [Fault("fcntl", "EMFILE", number, lasting=True) for number in (1, 2)]  # fmt: skip
UPLOADS = [
    *[("kernel", fault) for fault in OPENING + ROOM + MOVING],
    *[("loop", fault) for fault in ROOM + WRITING],
    *[("chunks", fault) for fault in OPENING + WRITING],
]
DOWNLOADS = [
    *[("kernel", Fault("sendfile", "EIO", number)) for number in (1, 2)],
    ("kernel", Fault("fcntl", "EMFILE", lasting=True)),
    *[("loop", Fault("pread64", "EIO", number)) for number in (1, 3)],
]
# what the relay opens when its first transfer comes
FIRST_NEEDS = ["epoll_create1", "eventfd2", "pipe2"]


def ids(cases: list[tuple[str, Fault]]) -> list[str]:
    """How the cases are called."""
    return [f"{way}-{fault}" for way, fault in cases]


@pytest.fixture(scope="module", autouse=True)
def _strace_is_here() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Daemon]]:
    """One daemon for each way that has served before: it survives all that is done to it."""
    daemons: dict[str, Daemon] = {}

    def victim(way: str) -> Daemon:
        if way not in daemons:
            folder = tmp_path_factory.mktemp(way)
            daemons[way] = Daemon([WAYS[way].flag, *SETTINGS], folder)
            assert_well(daemons[way], WAYS[way])
        return daemons[way]

    yield victim
    codes = [daemon.process.poll() for daemon in daemons.values()]
    for daemon in daemons.values():
        daemon.kill()
    assert codes == [None] * len(codes)


def met_by(daemon: Daemon, fault: Fault, act: Callable[[], bool]) -> bool:
    """What `act` says when it meets the fault, which it must."""
    try:
        with failing(daemon, fault):
            succeeded = act()
    except NotTraced as error:
        pytest.skip(f"strace may not be attached: {error}")
    assert met(daemon), "no call failed: the test is out of date"
    return succeeded


@pytest.mark.parametrize(("name", "fault"), UPLOADS, ids=ids(UPLOADS))
def test_an_upload(victims: Callable[[str], Daemon], name: str, fault: Fault) -> None:
    """The sender gets a sentence, its reader an abort, and the next upload is whole."""
    way: Way = WAYS[name]
    daemon = victims(name)
    met_by(daemon, fault, lambda: upload(daemon, way, fault.error))
    assert_well(daemon, way)
    daemon.assert_clean_log()


@pytest.mark.parametrize(("name", "fault"), DOWNLOADS, ids=ids(DOWNLOADS))
def test_a_download(victims: Callable[[str], Daemon], name: str, fault: Fault) -> None:
    """Its reader gets a sentence or an abort; what is stored stays whole for the next reader."""
    way: Way = WAYS[name]
    daemon = victims(name)
    assert put(daemon, "/k?max-age=3600", BODY)[0] == 200
    met_by(daemon, fault, lambda: download(daemon, fault.error))
    assert download(daemon, "")
    assert curl("--request", "DELETE", daemon.url("/k")).returncode == 0
    assert_well(daemon, way)
    daemon.assert_clean_log()


@pytest.mark.parametrize("call", FIRST_NEEDS)
def test_the_first_transfer(start: Callable[..., Daemon], call: str) -> None:
    """Without descriptors for the relay the event loop serves, or a sentence says why not."""
    daemon = start("--relay", *SETTINGS)
    fault = Fault(call, "EMFILE", lasting=True)
    met_by(daemon, fault, lambda: upload(daemon, WAYS["kernel"], fault.error))
    assert_well(daemon, WAYS["kernel"])
    daemon.assert_clean_log()
